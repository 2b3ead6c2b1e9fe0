// When a photo was taken, as the server's checks see it: by the camera's clock.
import type { components } from '@shared/api/wire.d.ts';

type PhotoTimes = Pick<components['schemas']['PhotoLine'], 'capturedAt' | 'facts'>;
const FRESH_MS = 2 * 60_000;

/** Return the time of the camera's clock, read as China time when it has no zone, or else the phone's time. */
export function readTakenAt({ facts, capturedAt }: PhotoTimes): string | null {
  // Facts of the source `gps` are from before the camera's clock counted: their time is the last fix's.
  const zoned = facts?.['capturedAtSource'] === 'gps' ? undefined : facts?.['capturedAt'];
  if (typeof zoned === 'string') return zoned;
  const local = facts?.['capturedLocal'];
  return typeof local === 'string' ? `${local}+08:00` : capturedAt;
}

/** Return the satellites' time when it is another one: the place in the photo is then as old as it says. */
export function readFixTime(photo: PhotoTimes): string | null {
  const fixedAt = photo.facts?.['gpsAt'];
  const takenAt = readTakenAt(photo);
  if (typeof fixedAt !== 'string') return null;
  return takenAt && Math.abs(Date.parse(fixedAt) - Date.parse(takenAt)) <= FRESH_MS ? null : fixedAt;
}
