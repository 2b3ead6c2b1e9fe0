// Uploads photos by tus: two at a time, resumed after an interruption, each once the server has its evidence document.
// A photo's bytes stay on the phone until its evidence document says that the server has stored them.
import { Upload } from 'tus-js-client';
import { reactive } from 'vue';
import { parseProblem } from '@shared/api/problems.ts';
import { accessToken } from '@shared/api/session.ts';
import { languageTag } from '@shared/i18n.ts';
import type { Evidence } from './documents.ts';
import { database } from './database.ts';
import { listUnsentPhotos, localDatabase, openPicture, type LocalDatabase, type Photo } from './localDatabase.ts';
import { syncNow } from './sync.ts';
import { describeFailure } from './uploadRetries.ts';

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
  pollTimer = setInterval(() => void uploadPendingPhotos(), POLL_MS);
  addEventListener('online', retryNow);
  void requeueInterrupted().then(uploadPendingPhotos);
}

/** Queue again what was being sent when the app was killed, and what an earlier version gave up for good. */
async function requeueInterrupted(): Promise<void> {
  await localDatabase()
    .photos.where('state')
    .anyOf('sending', 'failed')
    .modify((photo) => {
      if (photo.state === 'sending' || photo.attempts === undefined) Object.assign(photo, WAITING);
    });
}

const WAITING: Partial<Photo> = { state: 'kept', attempts: 0, retryAt: null, failure: null };

/** A network has come back: nothing waits any longer. */
async function retryNow(): Promise<void> {
  await localDatabase().photos.where('state').equals('kept').modify({ attempts: 0, retryAt: null });
  await uploadPendingPhotos();
}

export async function stopUploads(): Promise<void> {
  if (pollTimer) clearInterval(pollTimer);
  pollTimer = null;
  removeEventListener('online', retryNow);
  const running = [...runningUploads.values()];
  runningUploads.clear();
  await Promise.all(running.map((upload) => upload.abort()));
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
  await localDatabase().photos.update(id, WAITING);
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
  const timer = pollTimer;
  if (!store || !timer) return;
  const local = localDatabase();
  const evidenceById = new Map<string, Evidence>();
  for (const document of await store.collections.evidence.find().exec()) {
    const evidence = document.toJSON() as Evidence;
    if (evidence.server) evidenceById.set(evidence.id, evidence);
  }
  for (const photo of await listUnsentPhotos(local)) {
    if (pollTimer !== timer) return; // stopped meanwhile: another person may be about to sign in
    const state = evidenceById.get(photo.id)?.server?.state;
    if (state && RECEIVED_STATES.has(state))
      await local.photos.update(photo.id, { state: 'sent', blob: null, failure: null });
    else if (state === 'announced' && canStart(photo)) {
      const picture = await openPicture(local, photo, 'blob');
      if (pollTimer === timer && picture && canStart(photo)) startUpload(local, photo, picture);
    }
  }
}

function canStart(photo: Photo): boolean {
  return (
    !uploads.paused &&
    navigator.onLine &&
    photo.state === 'kept' &&
    photo.blob !== null &&
    (photo.retryAt ?? 0) <= Date.now() &&
    !runningUploads.has(photo.id) &&
    runningUploads.size < MAX_CONCURRENT
  );
}

function startUpload(local: LocalDatabase, photo: Photo, picture: Blob): void {
  const save = (change: Partial<Photo>): void => void local.photos.update(photo.id, change).catch(() => undefined);
  const upload = new Upload(picture, {
    endpoint: '/uploads/',
    uploadUrl: photo.uploadUrl,
    chunkSize: CHUNK_BYTES,
    retryDelays: [1_000, 3_000],
    storeFingerprintForResuming: false,
    metadata: { evidenceId: photo.id },
    onBeforeRequest: async (request) => {
      request.setHeader('Authorization', `Bearer ${await accessToken(local.ownerId)}`);
      request.setHeader('Accept-Language', languageTag());
    },
    onUploadUrlAvailable: () => save({ uploadUrl: upload.url }),
    onProgress: (sentBytes) => save({ sentBytes }),
    onSuccess: () => {
      runningUploads.delete(photo.id);
      // Stays `sending` until the evidence document confirms that the server has the bytes.
      save({ sentBytes: photo.sizeBytes, attempts: 0 });
      setTimeout(syncNow, FOLLOW_UP_MS);
      void uploadPendingPhotos();
    },
    onError: (error) => {
      runningUploads.delete(photo.id);
      const response = 'originalResponse' in error ? error.originalResponse : null;
      save(describeFailure(photo, response ? parseProblem(response.getStatus(), response.getBody()) : null));
    },
  });
  runningUploads.set(photo.id, upload);
  save({ state: 'sending', failure: null });
  upload.start();
}
