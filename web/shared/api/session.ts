// Who is signed in on this device. The access token lives in memory alone; the refresh token is an HttpOnly cookie
// that only /auth/v1/refresh ever sees, so no script on the page can read it. The person's name and roles are kept in
// localStorage (no secret), so that a phone without a network still opens what it holds.
import { reactive, readonly } from 'vue';
import { languageTag } from '../i18n.ts';
import { markReachable, markUnreachable } from '../online.ts';
import { Problem, readProblem, Unreachable } from './problems.ts';
import type { components } from './wire.d.ts';

export type SignedIn = components['schemas']['SignedIn'];
export type WebApp = 'phone' | 'resident' | 'desk';
export type Person = Pick<SignedIn, 'personId' | 'deviceId' | 'name' | 'roles'>;

interface State {
  person: Person | null;
  /** The code with which the server ended this sign-in; the person's data stays on the device. */
  endedBy: string | null;
  /** The server's time minus this device's, as of the last answer. */
  clockAheadMs: number;
}

const EARLY_MS = 30_000;
const state = reactive<State>({ person: null, endedBy: null, clockAheadMs: 0 });
let app: WebApp;
let access: { token: string; until: number } | null = null;

export const session = readonly(state);

/** Once, before anything else: which of the three apps this is. */
export function openSession(webApp: WebApp): void {
  app = webApp;
  const kept = localStorage.getItem(`zoufang.${app}.person`);
  state.person = kept ? (JSON.parse(kept) as Person) : null;
}

export async function signIn(login: string, password: string): Promise<void> {
  await begin('/auth/v1/staff/sign-in', { login, password });
}

/** `code` is what WeChat gave this page. */
export async function signInResident(code: string): Promise<void> {
  await begin('/auth/v1/resident/sign-in-wechat', { code });
}

async function begin(path: string, words: Record<string, unknown>): Promise<void> {
  const device = { label: deviceLabel(), platform: 'web', appVersion: __APP_VERSION__, hardwareId: hardwareId() };
  keep((await post(path, { ...words, device, webApp: app })) as SignedIn);
}

/** Tells the server where it can be told; the device forgets in any case. */
export async function signOut(): Promise<void> {
  try {
    await post('/auth/v1/sign-out', undefined, await accessToken());
  } catch {
    // Without a network the refresh cookie dies of age, and this device no longer uses it.
  }
  clearSession();
}

export function clearSession(): void {
  access = null;
  state.person = null;
  state.endedBy = null;
  localStorage.removeItem(`zoufang.${app}.person`);
}

/** A token that is good for some time yet. Throws `Unreachable`, or a `Problem` when the sign-in is over. */
export async function accessToken(): Promise<string> {
  if (access && access.until - EARLY_MS > Date.now()) return access.token;
  // One refresh at a time over all tabs: the cookie rotates, and two at once would look like a theft.
  const refreshed = async (): Promise<string> => {
    if (!access || access.until - EARLY_MS <= Date.now()) await refresh();
    return access!.token;
  };
  if (!('locks' in navigator)) return (alone ??= refreshed().finally(() => (alone = null)));
  return navigator.locks.request(`zoufang.${app}.refresh`, refreshed);
}

let alone: Promise<string> | null = null;

/** The server said that this token is no longer good: ask for another next time. */
export function discardAccessToken(token: string): void {
  if (access?.token === token) access = null;
}

/** The server said that this device is no longer welcome. */
export function endSession(code: string): void {
  access = null;
  state.endedBy = code;
}

async function refresh(): Promise<void> {
  try {
    keep((await post('/auth/v1/refresh', { webApp: app })) as SignedIn);
  } catch (error) {
    if (error instanceof Problem && error.code.startsWith('auth.')) endSession(error.code);
    throw error;
  }
}

function keep(signedIn: SignedIn): void {
  const { personId, deviceId, name, roles } = signedIn;
  state.person = { personId, deviceId, name, roles };
  state.endedBy = null;
  localStorage.setItem(`zoufang.${app}.person`, JSON.stringify(state.person));
  // The token's life is counted on this device's own clock, which may be wrong by years.
  const livesMs = Date.parse(signedIn.expiresAt) - (Date.now() + state.clockAheadMs);
  access = { token: signedIn.accessToken, until: Date.now() + livesMs };
}

async function post(path: string, body: unknown, token?: string): Promise<unknown> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json', 'Accept-Language': languageTag() };
  if (token) headers['Authorization'] = `Bearer ${token}`;
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: 'POST',
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    markUnreachable();
    throw new Unreachable();
  }
  recordResponse(answer);
  if (!answer.ok) throw await readProblem(answer);
  return answer.status === 204 ? null : answer.json();
}

/** Every answer tells two things more: the server is there, and what time it is. */
export function recordResponse(answer: Response): void {
  markReachable();
  const date = Date.parse(answer.headers.get('Date') ?? '');
  if (!Number.isNaN(date)) state.clockAheadMs = date - Date.now();
}

/** This browser's own lasting id, so that the server can see one phone used by two workers. */
function hardwareId(): string {
  const key = 'zoufang.hardwareId';
  const id = localStorage.getItem(key) ?? crypto.randomUUID();
  localStorage.setItem(key, id);
  return id;
}

function deviceLabel(): string {
  const found = /\(([^)]*)\)/.exec(navigator.userAgent)?.[1] ?? navigator.userAgent;
  return found.slice(0, 100);
}
