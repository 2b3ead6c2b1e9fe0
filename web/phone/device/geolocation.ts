// Where this phone is, as the browser says it (WGS-84), and what stands in the way when it does not.
import { ref, type Ref } from 'vue';
import { block } from '../gates.ts';
import type { Fix } from '../store/documents.ts';

type FixRefusal = 'denied' | 'unavailable' | 'timeout';

export class NoFix extends Error {
  readonly reason: FixRefusal;
  constructor(reason: FixRefusal) {
    super(reason);
    this.reason = reason;
  }
}

/** A button's own: takes a fix, tells how good it is so far, and shows the gate where there is none to be had. */
export function useFix(taken: (fix: Fix) => void): {
  busy: Ref<boolean>;
  accuracyM: Ref<number | null>;
  take: () => Promise<void>;
} {
  const busy = ref(false);
  const accuracyM = ref<number | null>(null);
  const take = async (): Promise<void> => {
    busy.value = true;
    accuracyM.value = null;
    try {
      taken(await takeFix((better) => (accuracyM.value = better.accuracyM)));
    } catch (error) {
      if (!(error instanceof NoFix)) throw error;
      block(error.reason === 'denied' ? 'location-denied' : 'location-off', () => void take());
    } finally {
      busy.value = false;
    }
  };
  return { busy, accuracyM, take };
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
    const patience = setTimeout(() => end(() => (best ? resolve(best) : reject(new NoFix('timeout')))), patienceMs);
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
