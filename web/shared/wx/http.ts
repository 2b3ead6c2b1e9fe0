// An HTTP client over `wx.request` within WeChat's limits: no PATCH, ten concurrent requests, and a request still open
// five seconds after the app went to the background is cut. So requests are queued, none starts in the background, and
// a cut request is repeated when the app returns to the foreground.
//
// A mini-program has no cookies: the refresh token is in its own storage, which no other mini-program can read.
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

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  body?: unknown;
  bytes?: ArrayBuffer;
  /** A file of the phone, sent as a form by `wx.uploadFile`. */
  file?: { path: string; form: Record<string, string> };
  headers?: Record<string, string>;
  anonymous?: boolean;
}

export interface HttpResponse {
  status: number;
  body: unknown;
  header(name: string): string | null;
}

/** A problem response of the server: a stable code and a sentence in Chinese. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, body: unknown) {
    const problem = (body ?? {}) as { title?: string; code?: string };
    super(problem.title ?? String(status));
    this.status = status;
    this.code = problem.code ?? 'server.error';
  }
}

/** No response: no network, or the app was in the background for too long. */
export class NetworkError extends Error {}

export interface Http {
  signIn(login: string, password: string): Promise<void>;
  signInWechat(code: string): Promise<void>;
  /** Waits while the app is hidden. Throws `Problem` or `NetworkError`. */
  request(path: string, options?: RequestOptions): Promise<HttpResponse>;
}

interface Tokens {
  accessToken: string;
  refreshToken: string;
  /** By this phone's own clock, however wrong that is. Stored on phones: the name does not change. */
  goodUntilMs: number;
}

const MAX_CONCURRENT = 8; // of WeChat's ten; two are left for the pages
const MAX_ATTEMPTS = 3;
const EXPIRY_MARGIN_MS = 30_000;
const KEY = 'zoufang.tokens';

export function openHttp(wx: Wx, server: string, device: { label: string; appVersion: string }): Http {
  let tokens = (wx.getStorageSync(KEY) || null) as Tokens | null;
  let background = false;
  let hideCount = 0;
  let running = 0;
  let refreshing: Promise<void> | null = null;
  const slotWaiters: (() => void)[] = [];
  const foregroundWaiters: (() => void)[] = [];

  wx.onAppHide(() => {
    background = true;
    hideCount += 1;
  });
  wx.onAppShow(() => {
    background = false;
    foregroundWaiters.splice(0).forEach((resolve) => resolve());
  });

  const http: Http = {
    signIn: (login, password) => signInWith('/auth/v1/staff/sign-in', { login, password }),
    signInWechat: (code) => signInWith('/auth/v1/staff/sign-in-wechat', { code }),
    async request(path, options = {}) {
      for (let attempt = 1; ; attempt++) {
        try {
          const response = await sendQueued(path, options);
          if (response.status < 400) return response;
          const problem = new Problem(response.status, response.body);
          const isExpired = problem.code === 'auth.token_expired' || problem.code === 'auth.token_invalid';
          if (!isExpired || attempt > 1) throw problem;
          tokens = tokens && { ...tokens, goodUntilMs: 0 };
        } catch (error) {
          if (!(error instanceof NetworkError) || attempt >= MAX_ATTEMPTS) throw error;
        }
      }
    },
  };
  return http;

  async function signInWith(path: string, credentials: object): Promise<void> {
    const deviceInfo = { label: device.label, platform: 'wechat', appVersion: device.appVersion };
    storeTokens(
      await http.request(path, { method: 'POST', body: { ...credentials, device: deviceInfo }, anonymous: true }),
    );
  }

  async function accessToken(): Promise<string> {
    if (!tokens) throw new Problem(401, { code: 'auth.required', title: '请先登录' });
    if (tokens.goodUntilMs - EXPIRY_MARGIN_MS < Date.now()) await (refreshing ??= refresh());
    return tokens.accessToken;
  }

  async function refresh(): Promise<void> {
    try {
      const options = { method: 'POST' as const, body: { refreshToken: tokens!.refreshToken }, anonymous: true };
      storeTokens(await http.request('/auth/v1/refresh', options));
    } finally {
      refreshing = null;
    }
  }

  /** The lifetime is the difference of two server times, since a phone's clock may be wrong by years. */
  function storeTokens(response: HttpResponse): void {
    const { accessToken, refreshToken, expiresAt } = response.body as Tokens & { expiresAt: string };
    const now = Date.now();
    const serverNow = Date.parse(response.header('Date') ?? '') || now;
    tokens = { accessToken, refreshToken, goodUntilMs: now + Date.parse(expiresAt) - serverNow };
    wx.setStorageSync(KEY, tokens);
  }

  async function sendQueued(path: string, options: RequestOptions): Promise<HttpResponse> {
    await waitForForeground(); // a token may expire while the app is hidden
    const headers: Record<string, string> = { 'Accept-Language': 'zh-CN', ...options.headers };
    if (!options.anonymous) headers['Authorization'] = `Bearer ${await accessToken()}`;
    if (options.body !== undefined) headers['Content-Type'] = 'application/json';
    while (running >= MAX_CONCURRENT) await new Promise<void>((resolve) => slotWaiters.push(resolve));
    running += 1;
    try {
      for (;;) {
        await waitForForeground();
        const hideCountBefore = hideCount;
        try {
          return await send(path, options, headers);
        } catch (error) {
          if (hideCount === hideCountBefore) throw error; // else the app was hidden and the request cut: repeat it
        }
      }
    } finally {
      running -= 1;
      slotWaiters.shift()?.();
    }
  }

  /** Resolve at once in the foreground, else when the app returns to it. */
  function waitForForeground(): Promise<void> {
    return background ? new Promise((resolve) => foregroundWaiters.push(resolve)) : Promise.resolve();
  }

  function send(path: string, options: RequestOptions, header: Record<string, string>): Promise<HttpResponse> {
    const url = path.startsWith('http') ? path : server + path;
    return new Promise((resolve, reject) => {
      const fail = ({ errMsg }: { errMsg: string }): void => reject(new NetworkError(errMsg));
      if (options.file) {
        wx.uploadFile({
          url,
          filePath: options.file.path,
          name: 'file',
          formData: options.file.form,
          header,
          success: ({ statusCode, data }) => resolve({ status: statusCode, body: parse(data), header: () => null }),
          fail,
        });
        return;
      }
      wx.request({
        url,
        method: options.method ?? 'GET',
        header,
        data: options.bytes ?? (options.body === undefined ? '' : JSON.stringify(options.body)),
        dataType: '其他' as never, // any other value returns the text unparsed: not every response is JSON
        responseType: 'text',
        success: ({ statusCode, data, header: headers }) =>
          resolve({ status: statusCode, body: parse(data), header: (name) => findHeader(headers, name) }),
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

/** Header names differ in case between Android and iOS. */
function findHeader(headers: object, name: string): string | null {
  const entry = Object.entries(headers).find(([key]) => key.toLowerCase() === name.toLowerCase());
  return entry ? String(entry[1]) : null;
}
