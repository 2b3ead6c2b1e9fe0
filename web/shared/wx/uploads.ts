// Uploads photos from a mini-program: by tus over `wx.request` in chunks (PATCH as POST with X-HTTP-Method-Override), so
// that a weak network or a switch to another app costs at most one chunk; or whole by `wx.uploadFile`, for which every
// HTTP status counts as success.
import type { Files } from './files.ts';
import { Problem, type Http, type Wx } from './http.ts';

export interface Queued {
  evidenceId: string;
  path: string;
  sizeBytes: number;
  sentBytes: number;
  /** The tus URL by which an upload is resumed. */
  url: string | null;
}

export interface Uploads {
  queue(evidenceId: string, path: string): void;
  waiting(): Queued[];
  /** Upload all queued photos; a later call resumes where this one stopped. Throws `NetworkError` at once, and the first
   * `Problem` of a refused photo after all others were sent. */
  run(onProgress?: (photo: Queued) => void): Promise<void>;
  sendWhole(evidenceId: string, path: string): Promise<void>;
}

const CHUNK_BYTES = 256 * 1024;
const BUSY_MS = 1_000;
const BUSY_TRIES = 10;
const NAME = 'uploads';
// Always sets the type, since `wx.request` would default to application/json.
const TUS = { 'Tus-Resumable': '1.0.0', 'Content-Type': 'application/offset+octet-stream' };

export function openUploads(wx: Wx, http: Http, files: Files): Uploads {
  const manager = wx.getFileSystemManager();
  let photos = files.read<Queued[]>(NAME) ?? [];
  const save = (): void => files.write(NAME, photos);
  const progressListeners = new Set<(photo: Queued) => void>();
  let running: Promise<void> | null = null;

  return {
    waiting: () => photos,
    queue(evidenceId, path) {
      if (photos.some((photo) => photo.evidenceId === evidenceId)) return;
      const { size } = manager.statSync(path) as WechatMiniprogram.Stats;
      photos.push({ evidenceId, path, sizeBytes: size, sentBytes: 0, url: null });
      save();
    },
    async run(onProgress) {
      if (onProgress) progressListeners.add(onProgress);
      try {
        await (running ??= sendQueued());
      } finally {
        if (onProgress) progressListeners.delete(onProgress);
      }
    },
    async sendWhole(evidenceId, path) {
      await http.request('/field/v1/photos', { file: { path, form: { evidenceId } } });
    },
  };

  /** One photo after the other, one run at a time: a second call joins the running one. */
  async function sendQueued(): Promise<void> {
    const tried = new Set<Queued>();
    let refusal: Problem | null = null;
    try {
      for (let photo; (photo = photos.find((queued) => !tried.has(queued))); tried.add(photo)) {
        try {
          await send(photo);
          photos = photos.filter((queued) => queued !== photo);
          save();
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          refusal ??= error;
        }
      }
    } finally {
      running = null;
    }
    if (refusal) throw refusal;
  }

  async function send(photo: Queued): Promise<void> {
    let hasOffset = !photo.url; // the server has the offset of an upload that began earlier
    let busy = 0;
    while (!hasOffset || photo.sentBytes < photo.sizeBytes) {
      try {
        photo.url ??= await create(photo);
        if (hasOffset) await sendChunk(photo);
        else await findOffset(photo);
        hasOffset = true;
        busy = 0;
      } catch (error) {
        // The server may have received a chunk that was cut, or still be receiving it.
        const mayHaveArrived =
          error instanceof Problem && ['upload.offset_differs', 'upload.busy'].includes(error.code);
        if (!mayHaveArrived || busy++ === BUSY_TRIES) throw error;
        if (error.code === 'upload.busy') await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
        hasOffset = false;
      }
      save();
      progressListeners.forEach((listener) => listener(photo));
    }
  }

  async function create(photo: Queued): Promise<string> {
    const id = wx.arrayBufferToBase64(encodeAscii(photo.evidenceId));
    const headers = { ...TUS, 'Upload-Length': String(photo.sizeBytes), 'Upload-Metadata': `evidenceId ${id}` };
    return (await http.request('/uploads/', { method: 'POST', headers })).header('Location')!;
  }

  async function sendChunk(photo: Queued): Promise<void> {
    const length = Math.min(CHUNK_BYTES, photo.sizeBytes - photo.sentBytes);
    const bytes = manager.readFileSync(photo.path, undefined, photo.sentBytes, length) as ArrayBuffer;
    const headers = {
      ...TUS,
      'X-HTTP-Method-Override': 'PATCH',
      'Upload-Offset': String(photo.sentBytes),
    };
    const response = await http.request(photo.url!, { method: 'POST', headers, bytes });
    photo.sentBytes = Number(response.header('Upload-Offset'));
  }

  async function findOffset(photo: Queued): Promise<void> {
    try {
      const headers = { ...TUS, 'X-HTTP-Method-Override': 'HEAD' };
      const response = await http.request(photo.url!, { method: 'POST', headers });
      photo.sentBytes = Number(response.header('Upload-Offset'));
    } catch (error) {
      if (!(error instanceof Problem) || ![404, 410].includes(error.status)) throw error;
      photo.url = null; // the upload expired: start again
      photo.sentBytes = 0;
      photo.url = await create(photo);
    }
  }
}

function encodeAscii(text: string): ArrayBuffer {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes.buffer;
}
