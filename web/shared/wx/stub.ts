// Stands in for `wx` in tests, on Node, and holds to WeChat's limits: whoever passes one fails as on a phone.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync, openSync, readSync, closeSync } from 'node:fs';

const METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT']);
const AT_ONCE = 10;
const STORAGE_BYTES = 10 * 1024 * 1024;
const KEY_BYTES = 1024 * 1024;

interface Outcome {
  url: string;
  success: (told: unknown) => void;
  fail: (told: { errMsg: string }) => void;
}
interface Asked extends Outcome {
  method: string;
  header?: Record<string, string>;
  data?: string | ArrayBuffer;
}
interface AskedUpload extends Outcome {
  name: string;
  filePath: string;
  header?: Record<string, string>;
  formData?: Record<string, unknown>;
}

export class StubWx {
  env: { USER_DATA_PATH: string };
  /** What the code under test did, for the test to look at. */
  seen = { most: 0, methods: new Set<string>(), cut: 0, refused: 0, paths: [] as string[] };
  /** How long a request may stay open in the background: five seconds on a phone. */
  graceMs = 5_000;
  /** Kept back before sending, so that a test can hide the app in between. */
  delayMs = 0;
  /** An answer kept back so long, so that the server did what was asked and nobody hears of it. */
  holdMs = 0;
  private storage = new Map<string, string>();
  private hide: (() => void)[] = [];
  private show: (() => void)[] = [];
  private open = new Set<AbortController>();
  private background = false;
  private cutting: ReturnType<typeof setTimeout> | undefined;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.env = { USER_DATA_PATH: folder };
  }

  onAppHide = (told: () => void): void => void this.hide.push(told);
  onAppShow = (told: () => void): void => void this.show.push(told);

  hideApp(): void {
    this.background = true;
    this.hide.forEach((one) => one());
    this.cutting = setTimeout(() => {
      this.seen.cut += this.open.size;
      this.open.forEach((one) => one.abort());
    }, this.graceMs);
  }

  showApp(): void {
    clearTimeout(this.cutting);
    this.background = false;
    this.show.forEach((one) => one());
  }

  getStorageSync = (key: string): unknown => JSON.parse(this.storage.get(key) ?? '""');

  setStorageSync = (key: string, value: unknown): void => {
    const text = JSON.stringify(value);
    if (Buffer.byteLength(text) > KEY_BYTES) throw new Error('setStorageSync:fail entry size limit');
    const others = [...this.storage].filter(([name]) => name !== key).map(([, held]) => held);
    const total = [...others, text].reduce((sum, one) => sum + Buffer.byteLength(one), 0);
    if (total > STORAGE_BYTES) throw new Error('setStorageSync:fail exceed storage max size 10Mb');
    this.storage.set(key, text);
  };

  arrayBufferToBase64 = (bytes: ArrayBuffer): string => Buffer.from(bytes).toString('base64');

  getFileSystemManager = () => ({
    readFileSync: (path: string, encoding?: string, position?: number, length?: number): string | ArrayBuffer => {
      if (encoding) return readFileSync(path, encoding as BufferEncoding);
      const file = openSync(path, 'r');
      const bytes = new Uint8Array(length!);
      readSync(file, bytes, 0, length!, position!);
      closeSync(file);
      return bytes.buffer;
    },
    writeFileSync: (path: string, data: string): void => writeFileSync(path, data),
    renameSync: (from: string, to: string): void => renameSync(from, to),
    statSync: (path: string) => ({ size: statSync(path).size }),
  });

  request = (asked: Asked): void => {
    this.seen.methods.add(asked.method);
    if (!METHODS.has(asked.method)) return asked.fail({ errMsg: `request:fail invalid method ${asked.method}` });
    const body = ['GET', 'HEAD'].includes(asked.method) ? undefined : asked.data;
    const headers = { 'Content-Type': 'application/json', ...asked.header };
    void this.send('request', asked, { method: asked.method, headers, body }, (answer, text) => ({
      statusCode: answer.status,
      data: text,
      header: Object.fromEntries(answer.headers),
    }));
  };

  uploadFile = (asked: AskedUpload): void => {
    const form = new FormData();
    for (const [key, value] of Object.entries(asked.formData ?? {})) form.append(key, String(value));
    form.append(asked.name, new Blob([readFileSync(asked.filePath)], { type: 'image/jpeg' }), 'tmp.jpg');
    void this.send('uploadFile', asked, { method: 'POST', headers: asked.header, body: form }, (answer, text) => ({
      statusCode: answer.status,
      data: text,
    }));
  };

  private async send(
    name: string,
    asked: Outcome,
    init: RequestInit,
    told: (answer: Response, text: string) => unknown,
  ): Promise<void> {
    const refusal = this.background ? 'interrupted' : this.open.size >= AT_ONCE ? 'exceed max task count' : '';
    if (refusal) {
      this.seen.refused += 1;
      return asked.fail({ errMsg: `${name}:fail ${refusal}` });
    }
    const cutter = new AbortController();
    this.open.add(cutter);
    this.seen.paths.push(new URL(asked.url).pathname);
    this.seen.most = Math.max(this.seen.most, this.open.size);
    try {
      await pause(this.delayMs);
      const answer = await fetch(asked.url, { ...init, signal: cutter.signal });
      const text = await answer.text();
      await pause(this.holdMs);
      cutter.signal.throwIfAborted();
      asked.success(told(answer, text));
    } catch (error) {
      asked.fail({ errMsg: `${name}:fail ${cutter.signal.aborted ? 'interrupted' : String(error)}` });
    } finally {
      this.open.delete(cutter);
    }
  }
}

function pause(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs));
}
