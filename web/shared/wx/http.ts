// The server over `wx.request`, with what a mini-program allows: GET, POST, PUT and DELETE but no PATCH, ten requests
// at once, and a request that is still open five seconds after the app went to the background is cut. So: a queue of
// our own, nothing begun in the background, and what was cut is taken up again when the app is back.
//
// A mini-program has no cookies: the refresh token is kept in its own storage, which no other mini-program reads.
export type Wx = Pick<
  WechatMiniprogram.Wx,
  | 'request'
  | 'uploadFile'
  | 'getFileSystemManager'
  | 'getStorageSync'
  | 'setStorageSync'
  | 'onAppHide'
  | 'onAppShow'
  | 'arrayBufferToBase64'
  | 'env'
>;

export interface Asked {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  body?: unknown;
  bytes?: ArrayBuffer;
  /** A file of the phone's as a form, by `wx.uploadFile`. */
  file?: { path: string; form: Record<string, string> };
  headers?: Record<string, string>;
  anonymous?: boolean;
}

export interface Answer {
  status: number;
  body: unknown;
  header(name: string): string | null;
}

/** The server's word: a stable code, a sentence in Chinese. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, body: unknown) {
    const told = (body ?? {}) as { title?: string; code?: string };
    super(told.title ?? String(status));
    this.status = status;
    this.code = told.code ?? 'server.error';
  }
}

/** No answer: no network, or the app was in the background for too long. */
export class NoAnswer extends Error {}

export interface Http {
  signIn(login: string, password: string): Promise<void>;
  signInWechat(code: string): Promise<void>;
  /** Waits while the app is hidden. Throws `Refused` or `NoAnswer`. */
  ask(path: string, asked?: Asked): Promise<Answer>;
}

interface Tokens {
  accessToken: string;
  refreshToken: string;
  /** By this phone's own clock, however wrong that is. */
  goodUntilMs: number;
}

const AT_ONCE = 8; // of WeChat's ten: two are left to the pages
const TRIES = 3;
const EARLY_MS = 30_000;
const KEY = 'zoufang.tokens';

export function openHttp(wx: Wx, server: string, device: { label: string; appVersion: string }): Http {
  let tokens = (wx.getStorageSync(KEY) || null) as Tokens | null;
  let background = false;
  let hidings = 0;
  let running = 0;
  let refreshing: Promise<void> | null = null;
  const waiting: (() => void)[] = [];
  const resting: (() => void)[] = [];

  wx.onAppHide(() => {
    background = true;
    hidings += 1;
  });
  wx.onAppShow(() => {
    background = false;
    resting.splice(0).forEach((go) => go());
  });

  const http: Http = {
    signIn: (login, password) => begin('/auth/v1/staff/sign-in', { login, password }),
    signInWechat: (code) => begin('/auth/v1/staff/sign-in-wechat', { code }),
    async ask(path, asked = {}) {
      for (let attempt = 1; ; attempt++) {
        try {
          const answer = await once(path, asked);
          if (answer.status < 400) return answer;
          const refused = new Refused(answer.status, answer.body);
          const stale = refused.code === 'auth.token_expired' || refused.code === 'auth.token_invalid';
          if (!stale || attempt > 1) throw refused;
          tokens = tokens && { ...tokens, goodUntilMs: 0 };
        } catch (error) {
          if (!(error instanceof NoAnswer) || attempt >= TRIES) throw error;
        }
      }
    },
  };
  return http;

  async function begin(path: string, words: object): Promise<void> {
    const intro = { label: device.label, platform: 'wechat', appVersion: device.appVersion };
    keep(await http.ask(path, { method: 'POST', body: { ...words, device: intro }, anonymous: true }));
  }

  async function token(): Promise<string> {
    if (!tokens) throw new Refused(401, { code: 'auth.required', title: '请先登录' });
    if (tokens.goodUntilMs - EARLY_MS < Date.now()) await (refreshing ??= refresh());
    return tokens.accessToken;
  }

  async function refresh(): Promise<void> {
    try {
      const asked = { method: 'POST' as const, body: { refreshToken: tokens!.refreshToken }, anonymous: true };
      keep(await http.ask('/auth/v1/refresh', asked));
    } finally {
      refreshing = null;
    }
  }

  /** How long a token lives is read from the server's two times alone: a phone's clock may be wrong by years. */
  function keep(answer: Answer): void {
    const { accessToken, refreshToken, expiresAt } = answer.body as Tokens & { expiresAt: string };
    const now = Date.now();
    const serverNow = Date.parse(answer.header('Date') ?? '') || now;
    tokens = { accessToken, refreshToken, goodUntilMs: now + Date.parse(expiresAt) - serverNow };
    wx.setStorageSync(KEY, tokens);
  }

  async function once(path: string, asked: Asked): Promise<Answer> {
    await foreground(); // a token that was good when the app was hidden may not be when it is back
    const headers: Record<string, string> = { 'Accept-Language': 'zh-CN', ...asked.headers };
    if (!asked.anonymous) headers['Authorization'] = `Bearer ${await token()}`;
    if (asked.body !== undefined) headers['Content-Type'] = 'application/json';
    while (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      for (;;) {
        await foreground();
        const before = hidings;
        try {
          return await send(path, asked, headers);
        } catch (error) {
          if (hidings === before) throw error; // else it was cut, which no network is to blame for
        }
      }
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  }

  /** Resolves at once in the foreground, else when the app is back. */
  function foreground(): Promise<void> {
    return background ? new Promise((resolve) => resting.push(resolve)) : Promise.resolve();
  }

  function send(path: string, asked: Asked, header: Record<string, string>): Promise<Answer> {
    const url = path.startsWith('http') ? path : server + path;
    return new Promise((resolve, reject) => {
      const fail = ({ errMsg }: { errMsg: string }): void => reject(new NoAnswer(errMsg));
      if (asked.file) {
        wx.uploadFile({
          url,
          filePath: asked.file.path,
          name: 'file',
          formData: asked.file.form,
          header,
          success: ({ statusCode, data }) => resolve({ status: statusCode, body: parse(data), header: () => null }),
          fail,
        });
        return;
      }
      wx.request({
        url,
        method: asked.method ?? 'GET',
        header,
        data: asked.bytes ?? (asked.body === undefined ? '' : JSON.stringify(asked.body)),
        dataType: '其他' as never, // the text as it is: not every answer is JSON
        responseType: 'text',
        success: ({ statusCode, data, header: told }) =>
          resolve({ status: statusCode, body: parse(data), header: (name) => findHeader(told, name) }),
        fail,
      });
    });
  }
}

function parse(data: unknown): unknown {
  if (typeof data !== 'string' || !data) return null;
  try {
    return JSON.parse(data);
  } catch {
    return data;
  }
}

/** Android and iOS write the names of headers differently. */
function findHeader(headers: object, name: string): string | null {
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name.toLowerCase());
  return found ? String(found[1]) : null;
}
