// Uploads photos by tus: two at a time, resumed after an interruption, each once the server has its evidence document.
// A photo's bytes stay on the phone until its evidence document says that the server has stored them.
import { Upload } from 'tus-js-client';
import { reactive } from 'vue';
import { Problem } from '@shared/api/problems.ts';
import { accessToken } from '@shared/api/session.ts';
import { languageTag } from '@shared/i18n.ts';
import type { Evidence } from './documents.ts';
import { database } from './database.ts';
import { localDatabase, type Photo } from './localDatabase.ts';
import { syncNow } from './sync.ts';

const MAX_CONCURRENT = 2;
const CHUNK_BYTES = 512 * 1024;
const POLL_MS = 5_000;
// The server updates a photo's evidence document shortly after the last byte.
const FOLLOW_UP_MS = 1_500;
const RECEIVED_STATES = new Set(['received', 'verified', 'refused']);

export const uploads = reactive({ paused: false });

const runningUploads = new Map<string, Upload>();
let pollTimer: ReturnType<typeof setInterval> | null = null;

export function startUploads(): void {
  if (pollTimer) return;
  // Resume uploads that were running when the app was killed.
  void localDatabase().photos.where('state').equals('sending').modify({ state: 'kept' });
  pollTimer = setInterval(() => void uploadPendingPhotos(), POLL_MS);
  addEventListener('online', uploadPendingPhotos);
  void uploadPendingPhotos();
}

export async function stopUploads(): Promise<void> {
  if (pollTimer) clearInterval(pollTimer);
  pollTimer = null;
  removeEventListener('online', uploadPendingPhotos);
  await Promise.all([...runningUploads.values()].map((upload) => upload.abort()));
  runningUploads.clear();
}

export async function setUploadsPaused(paused: boolean): Promise<void> {
  uploads.paused = paused;
  if (paused) await Promise.all([...runningUploads.keys()].map(abortUpload));
  else await uploadPendingPhotos();
}

export async function pausePhoto(id: string): Promise<void> {
  await abortUpload(id);
  await localDatabase().photos.update(id, { state: 'paused' });
}

export async function resumePhoto(id: string): Promise<void> {
  await localDatabase().photos.update(id, { state: 'kept', failure: null });
  await uploadPendingPhotos();
}

async function abortUpload(id: string): Promise<void> {
  await runningUploads.get(id)?.abort();
  runningUploads.delete(id);
  await localDatabase().photos.where({ id, state: 'sending' }).modify({ state: 'kept' });
}

/** Start the uploads that may start, and delete the bytes of photos that the server has stored. */
export async function uploadPendingPhotos(): Promise<void> {
  const store = database.value;
  if (!store || !pollTimer) return;
  const evidenceById = new Map<string, Evidence>();
  for (const document of await store.collections.evidence.find().exec()) {
    const evidence = document.toJSON() as Evidence;
    if (evidence.server) evidenceById.set(evidence.id, evidence);
  }
  for (const photo of await localDatabase().photos.where('state').notEqual('sent').toArray()) {
    const state = evidenceById.get(photo.id)?.server?.state;
    if (state && RECEIVED_STATES.has(state))
      await localDatabase().photos.update(photo.id, { state: 'sent', blob: null, failure: null });
    else if (state === 'announced' && canStart(photo)) startUpload(photo);
  }
}

function canStart(photo: Photo): boolean {
  return (
    !uploads.paused &&
    navigator.onLine &&
    photo.state === 'kept' &&
    photo.blob !== null &&
    !runningUploads.has(photo.id) &&
    runningUploads.size < MAX_CONCURRENT
  );
}

function startUpload(photo: Photo): void {
  const save = (change: Partial<Photo>): void => void localDatabase().photos.update(photo.id, change);
  const upload = new Upload(photo.blob as Blob, {
    endpoint: '/uploads/',
    uploadUrl: photo.uploadUrl,
    chunkSize: CHUNK_BYTES,
    retryDelays: [1_000, 3_000, 10_000, 30_000],
    storeFingerprintForResuming: false,
    metadata: { evidenceId: photo.id },
    onBeforeRequest: async (request) => {
      request.setHeader('Authorization', `Bearer ${await accessToken()}`);
      request.setHeader('Accept-Language', languageTag());
    },
    onUploadUrlAvailable: () => save({ uploadUrl: upload.url }),
    onProgress: (sentBytes) => save({ sentBytes }),
    onSuccess: () => {
      runningUploads.delete(photo.id);
      // Stays `sending` until the evidence document confirms that the server has the bytes.
      save({ sentBytes: photo.sizeBytes });
      setTimeout(syncNow, FOLLOW_UP_MS);
      void uploadPendingPhotos();
    },
    onError: (error) => {
      runningUploads.delete(photo.id);
      const offline = !('originalResponse' in error) || !error.originalResponse;
      save(offline ? { state: 'kept' } : { state: 'failed', failure: describeFailure(error.originalResponse!) });
    },
  });
  runningUploads.set(photo.id, upload);
  save({ state: 'sending', failure: null });
  upload.start();
}

/** The server's reason for a refusal as a sentence; a proxy's HTML error page is reduced to its status. */
function describeFailure(response: { getBody(): string; getStatus(): number }): string {
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(response.getBody()) as Record<string, unknown>;
  } catch {
    // Not JSON, so not the server's own response.
  }
  return new Problem(response.getStatus(), body).sentence;
}
