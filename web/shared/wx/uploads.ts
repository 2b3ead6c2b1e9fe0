// Photos from a mini-program. By tus over `wx.request` in pieces (PATCH as POST with X-HTTP-Method-Override), so that
// a weak network or a visit to another app costs at most one piece; or whole by `wx.uploadFile`, where every HTTP
// status counts as success and only the body says what happened.
import type { Files } from './files.ts';
import { Refused, type Http, type Wx } from './http.ts';

export interface Queued {
  evidenceId: string;
  path: string;
  sizeBytes: number;
  sentBytes: number;
  /** Where a begun upload goes on. */
  url: string | null;
}

export interface Uploads {
  queue(evidenceId: string, path: string): void;
  waiting(): Queued[];
  /** Sends all that waits, and goes on where it stopped when called again. Throws `NoAnswer`; at the end, with all the
   * others sent, the first `Refused` of a photo that the server did not take. */
  run(onProgress?: (photo: Queued) => void): Promise<void>;
  sendWhole(evidenceId: string, path: string): Promise<void>;
}

const PIECE_BYTES = 256 * 1024;
const BUSY_MS = 1_000;
const BUSY_TRIES = 10;
const NAME = 'uploads';
// The type is always said: `wx.request` would say application/json by itself.
const TUS = { 'Tus-Resumable': '1.0.0', 'Content-Type': 'application/offset+octet-stream' };

export function openUploads(wx: Wx, http: Http, files: Files): Uploads {
  const manager = wx.getFileSystemManager();
  let photos = files.read<Queued[]>(NAME) ?? [];
  const keep = (): void => files.write(NAME, photos);
  const watching = new Set<(photo: Queued) => void>();
  let running: Promise<void> | null = null;

  return {
    waiting: () => photos,
    queue(evidenceId, path) {
      if (photos.some((one) => one.evidenceId === evidenceId)) return;
      const { size } = manager.statSync(path) as WechatMiniprogram.Stats;
      photos.push({ evidenceId, path, sizeBytes: size, sentBytes: 0, url: null });
      keep();
    },
    async run(onProgress) {
      if (onProgress) watching.add(onProgress);
      try {
        await (running ??= all());
      } finally {
        if (onProgress) watching.delete(onProgress);
      }
    },
    async sendWhole(evidenceId, path) {
      await http.ask('/field/v1/photos', { file: { path, form: { evidenceId } } });
    },
  };

  /** One photo after the other, and one run at a time: a second one joins it. */
  async function all(): Promise<void> {
    const tried = new Set<Queued>();
    let refusal: Refused | null = null;
    try {
      for (let photo; (photo = photos.find((one) => !tried.has(one))); tried.add(photo)) {
        try {
          await send(photo);
          photos = photos.filter((one) => one !== photo);
          keep();
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          refusal ??= error;
        }
      }
    } finally {
      running = null;
    }
    if (refusal) throw refusal;
  }

  async function send(photo: Queued): Promise<void> {
    let isKnown = !photo.url; // how far one is that was begun earlier, the server says
    let busy = 0;
    while (!isKnown || photo.sentBytes < photo.sizeBytes) {
      try {
        photo.url ??= await create(photo);
        if (isKnown) await sendPiece(photo);
        else await findOffset(photo);
        isKnown = true;
        busy = 0;
      } catch (error) {
        // A piece that was cut may have arrived after all, or be arriving still.
        const cut = error instanceof Refused && ['upload.offset_differs', 'upload.busy'].includes(error.code);
        if (!cut || busy++ === BUSY_TRIES) throw error;
        if (error.code === 'upload.busy') await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
        isKnown = false;
      }
      keep();
      watching.forEach((told) => told(photo));
    }
  }

  async function create(photo: Queued): Promise<string> {
    const id = wx.arrayBufferToBase64(ascii(photo.evidenceId));
    const headers = { ...TUS, 'Upload-Length': String(photo.sizeBytes), 'Upload-Metadata': `evidenceId ${id}` };
    return (await http.ask('/uploads/', { method: 'POST', headers })).header('Location')!;
  }

  async function sendPiece(photo: Queued): Promise<void> {
    const length = Math.min(PIECE_BYTES, photo.sizeBytes - photo.sentBytes);
    const bytes = manager.readFileSync(photo.path, undefined, photo.sentBytes, length) as ArrayBuffer;
    const headers = {
      ...TUS,
      'X-HTTP-Method-Override': 'PATCH',
      'Upload-Offset': String(photo.sentBytes),
    };
    const answer = await http.ask(photo.url!, { method: 'POST', headers, bytes });
    photo.sentBytes = Number(answer.header('Upload-Offset'));
  }

  async function findOffset(photo: Queued): Promise<void> {
    try {
      const headers = { ...TUS, 'X-HTTP-Method-Override': 'HEAD' };
      const answer = await http.ask(photo.url!, { method: 'POST', headers });
      photo.sentBytes = Number(answer.header('Upload-Offset'));
    } catch (error) {
      if (!(error instanceof Refused) || ![404, 410].includes(error.status)) throw error;
      photo.url = null; // it ended unfinished: once more from the start
      photo.sentBytes = 0;
      photo.url = await create(photo);
    }
  }
}

function ascii(text: string): ArrayBuffer {
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  return bytes.buffer;
}
