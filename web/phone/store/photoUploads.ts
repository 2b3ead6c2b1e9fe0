// Sends photos by tus: two at a time, on from where they stopped, as soon as the server knows their announcement.
// A photo's bytes stay on the phone until the server says that it has stored them.
import { Upload } from 'tus-js-client';
import { reactive } from 'vue';
import { Problem } from '@shared/api/problems.ts';
import { accessToken } from '@shared/api/session.ts';
import { languageTag } from '@shared/i18n.ts';
import type { Evidence } from './documents.ts';
import { database } from './database.ts';
import { local, type Photo } from './local.ts';
import { syncNow } from './sync.ts';

const AT_ONCE = 2;
const CHUNK_BYTES = 512 * 1024;
const LOOK_MS = 5_000;
// The server takes a moment to say of a photo that it has it.
const SOON_MS = 1_500;
const IN_STORE = new Set(['received', 'verified', 'refused']);

export const uploads = reactive({ paused: false });

const running = new Map<string, Upload>();
let looking: ReturnType<typeof setInterval> | null = null;

export function startUploads(): void {
  if (looking) return;
  // What was being sent when the app was killed goes on.
  void local().photos.where('state').equals('sending').modify({ state: 'kept' });
  looking = setInterval(() => void look(), LOOK_MS);
  addEventListener('online', look);
  void look();
}

export async function stopUploads(): Promise<void> {
  if (looking) clearInterval(looking);
  looking = null;
  removeEventListener('online', look);
  await Promise.all([...running.values()].map((one) => one.abort()));
  running.clear();
}

export async function pauseAll(paused: boolean): Promise<void> {
  uploads.paused = paused;
  if (paused) await Promise.all([...running.keys()].map(halt));
  else await look();
}

export async function pausePhoto(id: string): Promise<void> {
  await halt(id);
  await local().photos.update(id, { state: 'paused' });
}

export async function resumePhoto(id: string): Promise<void> {
  await local().photos.update(id, { state: 'kept', failure: null });
  await look();
}

async function halt(id: string): Promise<void> {
  await running.get(id)?.abort();
  running.delete(id);
  await local().photos.where({ id, state: 'sending' }).modify({ state: 'kept' });
}

/** Begins what may begin, and forgets the bytes of what the server has stored. */
export async function look(): Promise<void> {
  const store = database.value;
  if (!store || !looking) return;
  const announced = new Map<string, Evidence>();
  for (const one of await store.collections.evidence.find().exec()) {
    const evidence = one.toJSON() as Evidence;
    if (evidence.server) announced.set(evidence.id, evidence);
  }
  for (const photo of await local().photos.where('state').notEqual('sent').toArray()) {
    const state = announced.get(photo.id)?.server?.state;
    if (state && IN_STORE.has(state))
      await local().photos.update(photo.id, { state: 'sent', blob: null, failure: null });
    else if (state === 'announced' && mayBegin(photo)) begin(photo);
  }
}

function mayBegin(photo: Photo): boolean {
  return (
    !uploads.paused &&
    navigator.onLine &&
    photo.state === 'kept' &&
    photo.blob !== null &&
    !running.has(photo.id) &&
    running.size < AT_ONCE
  );
}

function begin(photo: Photo): void {
  const keep = (change: Partial<Photo>): void => void local().photos.update(photo.id, change);
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
    onUploadUrlAvailable: () => keep({ uploadUrl: upload.url }),
    onProgress: (sentBytes) => keep({ sentBytes }),
    onSuccess: () => {
      running.delete(photo.id);
      // Not done before the server says so in the photo's own document.
      keep({ sentBytes: photo.sizeBytes });
      setTimeout(syncNow, SOON_MS);
      void look();
    },
    onError: (error) => {
      running.delete(photo.id);
      const offline = !('originalResponse' in error) || !error.originalResponse;
      keep(offline ? { state: 'kept' } : { state: 'failed', failure: wordsOf(error.originalResponse!) });
    },
  });
  running.set(photo.id, upload);
  keep({ state: 'sending', failure: null });
  upload.start();
}

/** What the server said against it, for the person; a proxy says nothing that reads. */
function wordsOf(answer: { getBody(): string; getStatus(): number }): string {
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(answer.getBody()) as Record<string, unknown>;
  } catch {
    // not the server's own word
  }
  return new Problem(answer.getStatus(), body).sentence;
}
