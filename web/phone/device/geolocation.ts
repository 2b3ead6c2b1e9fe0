// The phone's position (WGS-84) by WeChat inside it, else from the browser, and why there is none.
import { ref, type Ref } from 'vue';
import { locateByWechat, type WechatLocation } from '@shared/wechatSdk.ts';
import { showGuard } from '../guards.ts';
import type { Fix } from '../store/documents.ts';

type FixErrorReason = 'denied' | 'unavailable' | 'timeout';

export class FixError extends Error {
  readonly reason: FixErrorReason;
  constructor(reason: FixErrorReason) {
    super(reason);
    this.reason = reason;
  }
}

/** State of a button that takes a fix: busy, accuracy so far, and a guard when no fix is possible. */
export function useFix(onTaken: (fix: Fix) => void): {
  busy: Ref<boolean>;
  accuracyM: Ref<number | null>;
  /** The last attempt gave no fix. */
  hasFailed: Ref<boolean>;
  take: () => Promise<void>;
} {
  const busy = ref(false);
  const accuracyM = ref<number | null>(null);
  const hasFailed = ref(false);
  const take = async (): Promise<void> => {
    busy.value = true;
    accuracyM.value = null;
    try {
      onTaken(await takeFix((better) => (accuracyM.value = better.accuracyM ?? null)));
      hasFailed.value = false;
    } catch (error) {
      if (!(error instanceof FixError)) throw error;
      hasFailed.value = true;
      showGuard(error.reason === 'denied' ? 'location-denied' : 'location-off', () => void take());
    } finally {
      busy.value = false;
    }
  };
  return { busy, accuracyM, hasFailed, take };
}

const REASONS_BY_CODE: Record<number, FixErrorReason> = { 1: 'denied', 2: 'unavailable', 3: 'timeout' };

/** Resolve to the best fix before the timeout; `onBetter` is called for each more accurate one. */
export async function takeFix(onBetter?: (fix: Fix) => void, timeoutMs = 20_000, goodAccuracyM = 25): Promise<Fix> {
  const place = await locateByWechat();
  if (place === 'denied') throw new FixError('denied');
  return place ? toWechatFix(place) : takeBrowserFix(onBetter, timeoutMs, goodAccuracyM);
}

function takeBrowserFix(
  onBetter: ((fix: Fix) => void) | undefined,
  timeoutMs: number,
  goodAccuracyM: number,
): Promise<Fix> {
  return new Promise((resolve, reject) => {
    if (!('geolocation' in navigator)) return reject(new FixError('unavailable'));
    let best: Fix | null = null;
    const finish = (settle: () => void): void => {
      navigator.geolocation.clearWatch(watchId);
      clearTimeout(timer);
      settle();
    };
    const watchId = navigator.geolocation.watchPosition(
      (position) => {
        const fix = toFix(position);
        if (!best || (fix.accuracyM ?? Infinity) < (best.accuracyM ?? Infinity)) {
          best = fix;
          onBetter?.(fix);
        }
        if ((fix.accuracyM ?? Infinity) <= goodAccuracyM) finish(() => resolve(best!));
      },
      (error) => {
        if (!best || error.code === 1) finish(() => reject(new FixError(REASONS_BY_CODE[error.code] ?? 'unavailable')));
      },
      { enableHighAccuracy: true, timeout: timeoutMs, maximumAge: 0 },
    );
    const timer = setTimeout(() => finish(() => (best ? resolve(best) : reject(new FixError('timeout')))), timeoutMs);
  });
}

function toWechatFix({ latitude, longitude, accuracy, speed }: WechatLocation): Fix {
  return {
    latitude,
    longitude,
    datum: 'wgs84',
    capturedAt: new Date().toISOString(),
    accuracyM: accuracy,
    // WeChat gives -1 or nothing for a speed that it does not know.
    speedMps: speed >= 0 ? speed : null,
    source: 'wx.getLocation',
  };
}

function toFix({ coords }: GeolocationPosition): Fix {
  return {
    latitude: coords.latitude,
    longitude: coords.longitude,
    datum: 'wgs84',
    // By the phone's clock like all times of the visit, not the satellite's.
    capturedAt: new Date().toISOString(),
    accuracyM: coords.accuracy,
    altitudeM: coords.altitude,
    speedMps: coords.speed,
    source: 'browser',
  };
}
