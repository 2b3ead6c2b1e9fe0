// Where this phone is, as the browser says it (WGS-84), and what stands in the way when it does not.
import { distance as words } from '@shared/format.ts';
import type { Fix } from '../store/documents.ts';

export type FixRefusal = 'denied' | 'unavailable' | 'timeout';

export class NoFix extends Error {
  readonly reason: FixRefusal;
  constructor(reason: FixRefusal) {
    super(reason);
    this.reason = reason;
  }
}

const REASONS: Record<number, FixRefusal> = { 1: 'denied', 2: 'unavailable', 3: 'timeout' };

/** The best fix within some seconds; `onBetter` hears each one that is better than the last. */
export function takeFix(onBetter?: (fix: Fix) => void, patienceMs = 20_000, goodM = 25): Promise<Fix> {
  return new Promise((resolve, reject) => {
    if (!('geolocation' in navigator)) return reject(new NoFix('unavailable'));
    let best: Fix | null = null;
    const end = (outcome: () => void): void => {
      navigator.geolocation.clearWatch(watching);
      clearTimeout(patience);
      outcome();
    };
    const watching = navigator.geolocation.watchPosition(
      (position) => {
        const fix = toFix(position);
        if (!best || (fix.accuracyM ?? Infinity) < (best.accuracyM ?? Infinity)) {
          best = fix;
          onBetter?.(fix);
        }
        if ((fix.accuracyM ?? Infinity) <= goodM) end(() => resolve(best!));
      },
      (error) => {
        if (!best || error.code === 1) end(() => reject(new NoFix(REASONS[error.code] ?? 'unavailable')));
      },
      { enableHighAccuracy: true, timeout: patienceMs, maximumAge: 0 },
    );
    const patience = setTimeout(
      () => end(() => (best ? resolve(best) : reject(new NoFix('timeout')))),
      patienceMs,
    );
  });
}

function toFix({ coords }: GeolocationPosition): Fix {
  return {
    latitude: coords.latitude,
    longitude: coords.longitude,
    datum: 'wgs84',
    // The phone's clock as the visit's other times, not the satellite's.
    capturedAt: new Date().toISOString(),
    accuracyM: coords.accuracy,
    altitudeM: coords.altitude,
    speedMps: coords.speed,
    source: 'browser',
  };
}

export interface Place {
  latitude: number;
  longitude: number;
}

/** Great-circle metres; homes kept in another datum are up to some hundred metres off, enough to order a day. */
export function metresBetween(a: Place, b: Place): number {
  const radians = Math.PI / 180;
  const north = Math.sin(((b.latitude - a.latitude) * radians) / 2);
  const east = Math.sin(((b.longitude - a.longitude) * radians) / 2);
  const chord = north * north + Math.cos(a.latitude * radians) * Math.cos(b.latitude * radians) * east * east;
  return 2 * 6_371_008.8 * Math.asin(Math.sqrt(Math.min(1, chord)));
}

export function apart(a: Place | null, b: Place | null): string {
  return a && b ? words(metresBetween(a, b)) : '';
}
