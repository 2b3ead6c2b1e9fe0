// When a photo whose upload failed is sent again: by itself after a growing wait, or, where the server refused it for good,
// when the person says so.
import type { Problem } from '@shared/api/problems.ts';
import type { Photo } from './localDatabase.ts';

/** Waits between attempts that failed by the network, a proxy or a busy server: 10 s, 20 s, … 10 min. */
const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 10 * 60_000;
/** Refusals of the bytes themselves that have a status which otherwise passes. */
const FINAL_CODES = new Set(['upload.size_differs', 'evidence.frozen', 'photo.erased']);
/** The server no longer knows the upload: the next attempt begins a new one. */
const GONE_STATUSES = new Set([404, 410]);

/**
 * What becomes of a photo whose attempt failed. Only the server's own refusal of it is final; after a lost connection, a
 * proxy's error page or a busy server it waits and comes again by itself.
 */
export function describeFailure(photo: Photo, problem: Problem | null, now = Date.now()): Partial<Photo> {
  if (problem && (problem.isFinal || FINAL_CODES.has(problem.code))) {
    return { state: 'failed', failure: problem.sentence, attempts: 0 };
  }
  const attempts = (photo.attempts ?? 0) + 1;
  const wait = Math.min(FIRST_WAIT_MS * 2 ** (attempts - 1), LONGEST_WAIT_MS);
  return {
    state: 'kept',
    failure: problem && problem.sentence,
    attempts,
    retryAt: now + wait,
    ...(problem && GONE_STATUSES.has(problem.status) ? { uploadUrl: null, sentBytes: 0 } : {}),
  };
}
