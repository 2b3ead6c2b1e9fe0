// A test double for `wx` on Node that enforces WeChat's limits: code that exceeds one fails as on a phone.
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync, openSync, readSync, closeSync } from 'node:fs';

const METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT']);
const MAX_CONCURRENT = 10;
const STORAGE_BYTES = 10 * 1024 * 1024;
const KEY_BYTES = 1024 * 1024;

interface Outcome {
  url: string;
  success: (result: unknown) => void;
  fail: (result: { errMsg: string }) => void;
}
interface RequestOptions extends Outcome {
  method: string;
  header?: Record<string, string>;
  data?: string | ArrayBuffer;
}
interface UploadOptions extends Outcome {
  name: string;
  filePath: string;
  header?: Record<string, string>;
  formData?: Record<string, unknown>;
}

export class StubWx {
  env: { USER_DATA_PATH: string };
  /** What the code under test did, for assertions. */
  seen = { most: 0, methods: new Set<string>(), cut: 0, refused: 0, paths: [] as string[] };
  /** How long a request may stay open in the background: five seconds on a phone. */
  graceMs = 5_000;
  /** Delay before sending, so that a test can hide the app in between. */
  delayMs = 0;
  /** Delay of the response, so that the server has acted and the client does not learn of it. */
  holdMs = 0;
  private storage = new Map<string, string>();
  private hide: (() => void)[] = [];
  private show: (() => void)[] = [];
  private open = new Set<AbortController>();
  private background = false;
  private cutTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.env = { USER_DATA_PATH: folder };
  }

  onAppHide = (callback: () => void): void => void this.hide.push(callback);
  onAppShow = (callback: () => void): void => void this.show.push(callback);

  hideApp(): void {
    this.background = true;
    this.hide.forEach((callback) => callback());
    this.cutTimer = setTimeout(() => {
      this.seen.cut += this.open.size;
      this.open.forEach((request) => request.abort());
    }, this.graceMs);
  }

  showApp(): void {
    clearTimeout(this.cutTimer);
    this.background = false;
    this.show.forEach((callback) => callback());
  }

  getStorageSync = (key: string): unknown => JSON.parse(this.storage.get(key) ?? '""');

  setStorageSync = (key: string, value: unknown): void => {
    const text = JSON.stringify(value);
    if (Buffer.byteLength(text) > KEY_BYTES) throw new Error('setStorageSync:fail entry size limit');
    const others = [...this.storage].filter(([name]) => name !== key).map(([, held]) => held);
    const total = [...others, text].reduce((sum, value) => sum + Buffer.byteLength(value), 0);
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

  request = (options: RequestOptions): void => {
    this.seen.methods.add(options.method);
    if (!METHODS.has(options.method)) return options.fail({ errMsg: `request:fail invalid method ${options.method}` });
    const body = ['GET', 'HEAD'].includes(options.method) ? undefined : options.data;
    const headers = { 'Content-Type': 'application/json', ...options.header };
    void this.send('request', options, { method: options.method, headers, body }, (response, text) => ({
      statusCode: response.status,
      data: text,
      header: Object.fromEntries(response.headers),
    }));
  };

  uploadFile = (options: UploadOptions): void => {
    const form = new FormData();
    for (const [key, value] of Object.entries(options.formData ?? {})) form.append(key, String(value));
    form.append(options.name, new Blob([readFileSync(options.filePath)], { type: 'image/jpeg' }), 'tmp.jpg');
    void this.send(
      'uploadFile',
      options,
      { method: 'POST', headers: options.header, body: form },
      (response, text) => ({
        statusCode: response.status,
        data: text,
      }),
    );
  };

  private async send(
    name: string,
    options: Outcome,
    init: RequestInit,
    toResult: (response: Response, text: string) => unknown,
  ): Promise<void> {
    const limit = this.background ? 'interrupted' : this.open.size >= MAX_CONCURRENT ? 'exceed max task count' : '';
    if (limit) {
      this.seen.refused += 1;
      return options.fail({ errMsg: `${name}:fail ${limit}` });
    }
    const controller = new AbortController();
    this.open.add(controller);
    this.seen.paths.push(new URL(options.url).pathname);
    this.seen.most = Math.max(this.seen.most, this.open.size);
    try {
      await sleep(this.delayMs);
      const response = await fetch(options.url, { ...init, signal: controller.signal });
      const text = await response.text();
      await sleep(this.holdMs);
      controller.signal.throwIfAborted();
      options.success(toResult(response, text));
    } catch (error) {
      options.fail({ errMsg: `${name}:fail ${controller.signal.aborted ? 'interrupted' : String(error)}` });
    } finally {
      this.open.delete(controller);
    }
  }
}

function sleep(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs));
}
