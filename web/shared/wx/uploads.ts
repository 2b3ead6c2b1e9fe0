// Photos from a mini-program. By tus over `wx.request` in pieces (PATCH as POST with X-HTTP-Method-Override), so that
// a weak network or a visit to another app costs at most one piece; or whole by `wx.uploadFile`, where every HTTP
// status counts as success and only the body says what happened.
import type { Files } from './files.ts';
import { NoAnswer, Refused, type Http, type Wx } from './http.ts';

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
  /** Sends all that waits; throws what stops it, and goes on from there when called again. */
  run(onProgress?: (photo: Queued) => void): Promise<void>;
  sendWhole(evidenceId: string, path: string): Promise<void>;
}

const PIECE_BYTES = 256 * 1024;
const NAME = 'uploads';
// The type is always said: `wx.request` would say application/json by itself.
const TUS = { 'Tus-Resumable': '1.0.0', 'Content-Type': 'application/offset+octet-stream' };

export function openUploads(wx: Wx, http: Http, files: Files): Uploads {
  const manager = wx.getFileSystemManager();
  let photos = files.read<Queued[]>(NAME) ?? [];
  const keep = (): void => files.write(NAME, photos);

  return {
    waiting: () => photos,
    queue(evidenceId, path) {
      const { size } = manager.statSync(path) as WechatMiniprogram.Stats;
      photos.push({ evidenceId, path, sizeBytes: size, sentBytes: 0, url: null });
      keep();
    },
    async run(onProgress) {
      while (photos[0]) {
        await send(photos[0], onProgress);
        photos = photos.slice(1);
        keep();
      }
    },
    async sendWhole(evidenceId, path) {
      const header = { Authorization: `Bearer ${await http.token()}`, 'Accept-Language': 'zh-CN' };
      await http.foreground();
      const { statusCode, data } = await new Promise<WechatMiniprogram.UploadFileSuccessCallbackResult>(
        (success, reject) =>
          wx.uploadFile({
            url: http.url('/field/v1/photos'),
            filePath: path,
            name: 'file',
            formData: { evidenceId },
            header,
            success,
            fail: ({ errMsg }) => reject(new NoAnswer(errMsg)),
          }),
      );
      const body = JSON.parse(data) as { code?: string };
      if (statusCode >= 400 || body.code) throw new Refused(statusCode, body);
    },
  };

  async function send(photo: Queued, onProgress?: (photo: Queued) => void): Promise<void> {
    if (photo.url) await findOffset(photo);
    photo.url ??= await create(photo);
    keep();
    while (photo.sentBytes < photo.sizeBytes) {
      try {
        await sendPiece(photo);
      } catch (error) {
        // Cut in the background, or another piece arrived after all: the server knows where it stands.
        const lost = error instanceof NoAnswer && http.inBackground();
        if (!lost && !(error instanceof Refused && error.code === 'upload.offset_differs')) throw error;
        await http.foreground();
        await findOffset(photo);
      }
      keep();
      onProgress?.(photo);
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
