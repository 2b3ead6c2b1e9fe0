// The session of this device. The access token is kept in memory only; the refresh token is an HttpOnly cookie sent only
// to /auth/v1/refresh, so no script can read it. The person's name and roles are stored in localStorage (no secret), so
// that the phone app opens without a network.
import { reactive, readonly } from 'vue';
import { languageTag } from '../i18n.ts';
import { markReachable, markUnreachable } from '../online.ts';
import { OtherPerson, Problem, readJson, readProblem, Unreachable } from './problems.ts';
import type { components } from './wire.d.ts';

type Schemas = components['schemas'];
export type SignedIn = components['schemas']['SignedIn'];
export type WebApp = 'phone' | 'resident' | 'desk';
export type Person = Pick<SignedIn, 'personId' | 'deviceId' | 'name' | 'roles' | 'secondFactorDue'>;

interface State {
  person: Person | null;
  /** The problem code with which the server ended the session; the person's data stays on the device. */
  endedBy: string | null;
  /** The server's time minus this device's, by the last response. */
  clockAheadMs: number;
}

const EXPIRY_MARGIN_MS = 30_000;
const OTHER_PERSON = 'auth.other_person';
const state = reactive<State>({ person: null, endedBy: null, clockAheadMs: 0 });
let app: WebApp;
let access: { token: string; until: number; personId: string } | null = null;

export const session = readonly(state);

/** Restore the session at start; each of the three apps has its own. */
export function openSession(webApp: WebApp): void {
  app = webApp;
  const stored = localStorage.getItem(`zoufang.${app}.person`);
  state.person = stored ? (JSON.parse(stored) as Person) : null;
  const ended = JSON.parse(localStorage.getItem(`zoufang.${app}.ended`) ?? 'null') as EndedSession | null;
  if (ended && ended.personId === state.person?.personId) state.endedBy = ended.code;
  void endPending().catch(() => undefined);
  addEventListener('online', () => void endPending().catch(() => undefined));
}

/** What the server said about a session, kept so that it holds without a network too. */
interface EndedSession {
  personId: string;
  code: string;
}

/** The server ended this session; another person in another window does not. */
export function isSessionEnded(): boolean {
  return state.endedBy !== null && state.endedBy !== OTHER_PERSON;
}

/** `secondFactor` is a code, for an account that has answered `auth.second_factor_required`. */
export async function signIn(login: string, password: string, secondFactor: string | null = null): Promise<void> {
  await startSession('/auth/v1/staff/sign-in', { login, password, secondFactor });
}

/** `code` is the one-time code that WeChat added to this page's URL. */
export async function signInResident(code: string): Promise<void> {
  await startSession('/auth/v1/resident/sign-in-wechat', { code });
}

/** A resident without WeChat: both numbers, and the PIN of their slip or a code that came by SMS. */
export async function signInWithNumbers(
  proof: Pick<Schemas['ResidentSignIn'], 'idNumber' | 'applicationNumber' | 'pin' | 'code'>,
): Promise<void> {
  await startSession('/auth/v1/resident/sign-in', proof);
}

async function startSession(path: string, credentials: Record<string, unknown>): Promise<void> {
  await endPending(); // before the new cookie takes the place of the old one
  storeSession((await post(path, { ...credentials, device: describeDevice(), webApp: app })) as SignedIn);
}

/** Go to WeChat, which sends the browser back to `…/wechat` of this app; `target` is the page to show then. */
export async function beginWechat(target: string): Promise<void> {
  const { url } = (await post('/auth/v1/wechat/begin', { webApp: app, target })) as Schemas['ConsentAddress'];
  location.assign(url);
}

/** Sign in with what WeChat brought back; or learn of a further consent, `consentUrl`. */
export async function signInWithWechat(
  back: Schemas['WechatReturn'],
  secondFactor: string | null,
): Promise<Schemas['WechatSignedIn']> {
  await endPending();
  const body = { ...back, secondFactor, device: describeDevice(), webApp: app };
  const result = (await post('/auth/v1/wechat/sign-in', body)) as Schemas['WechatSignedIn'];
  if (result.signedIn) storeSession(result.signedIn);
  return result;
}

/** Show a QR code that signs this browser in; a cookie binds it to this browser. */
export function beginQr(): Promise<Schemas['QrCode']> {
  return post('/auth/v1/qr/begin', { webApp: app, label: deviceLabel() }) as Promise<Schemas['QrCode']>;
}

/** Ask whether the code was confirmed, and sign in then. */
export async function finishQr(secondFactor: string | null): Promise<Schemas['QrResult']['state']> {
  await endPending();
  const body = { secondFactor, device: describeDevice(), webApp: app };
  const result = (await post('/auth/v1/qr/finish', body)) as Schemas['QrResult'];
  if (result.signedIn) storeSession(result.signedIn);
  return result.state;
}

function describeDevice(): Schemas['DeviceInfo'] {
  return { label: deviceLabel(), platform: 'web', appVersion: __APP_VERSION__, hardwareId: hardwareId() };
}

/** Sign out on this device at once, and on the server as soon as it is reachable. */
export async function signOut(): Promise<void> {
  localStorage.setItem(pendingKey(), '1');
  clearSession();
  await endPending().catch(() => undefined);
}

const pendingKey = (): string => `zoufang.${app}.signedOut`;

let ending: Promise<void> | null = null;

/**
 * End the device of the refresh cookie that a sign-out left behind, which also clears the cookie. One request at a time:
 * the answer of a second one would clear the cookie of a sign-in that came between.
 */
function endPending(): Promise<void> {
  ending ??= sendPending().finally(() => (ending = null));
  return ending;
}

async function sendPending(): Promise<void> {
  if (!localStorage.getItem(pendingKey())) return;
  await send('DELETE', `/auth/v1/refresh?app=${app}`);
  localStorage.removeItem(pendingKey());
}

export function clearSession(): void {
  access = null;
  state.person = null;
  state.endedBy = null;
  localStorage.removeItem(`zoufang.${app}.person`);
  localStorage.removeItem(`zoufang.${app}.ended`);
}

/**
 * Return an access token of this person that is valid for some time. Throws `Unreachable`, a `Problem` when the session
 * ended, or `OtherPerson` when somebody else has signed in meanwhile: what one person recorded is never sent as another.
 */
export async function accessToken(personId = state.person?.personId): Promise<string> {
  if (!hasValidAccess()) await refreshOnce();
  if (access?.personId !== personId) throw new OtherPerson();
  return access!.token;
}

function hasValidAccess(): boolean {
  return access !== null && access.until - EXPIRY_MARGIN_MS > Date.now();
}

/** One refresh at a time across all tabs: the cookie rotates, and a second use of it would count as theft. */
async function refreshOnce(): Promise<void> {
  const refreshIfExpired = async (): Promise<void> => {
    if (!hasValidAccess()) await refresh();
  };
  if (!('locks' in navigator)) return (refreshing ??= refreshIfExpired().finally(() => (refreshing = null)));
  await navigator.locks.request(`zoufang.${app}.refresh`, refreshIfExpired);
}

let refreshing: Promise<void> | null = null;

/** Drop a token that the server refused, so that the next request refreshes it. */
export function discardAccessToken(token: string): void {
  if (access?.token === token) access = null;
}

/** End the session because the server ended it. */
export function endSession(code: string): void {
  access = null;
  state.endedBy = code;
  if (code === OTHER_PERSON || !state.person) return;
  const ended: EndedSession = { personId: state.person.personId, code };
  localStorage.setItem(`zoufang.${app}.ended`, JSON.stringify(ended));
}

/** Read the person's roles anew. */
export async function renewSession(): Promise<void> {
  access = null;
  await accessToken();
}

async function refresh(): Promise<void> {
  let signedIn: SignedIn;
  try {
    signedIn = (await post('/auth/v1/refresh', { webApp: app })) as SignedIn;
  } catch (error) {
    if (error instanceof Problem && error.code.startsWith('auth.')) endSession(error.code);
    throw error;
  }
  if (signedIn.personId !== state.person?.personId) {
    // Another window of this browser signed somebody else in, whose cookie this is.
    endSession(OTHER_PERSON);
    throw new OtherPerson();
  }
  storeSession(signedIn);
}

function storeSession(signedIn: SignedIn): void {
  const { personId, deviceId, name, roles, secondFactorDue } = signedIn;
  state.person = { personId, deviceId, name, roles, secondFactorDue: secondFactorDue ?? false };
  state.endedBy = null;
  localStorage.setItem(`zoufang.${app}.person`, JSON.stringify(state.person));
  localStorage.removeItem(`zoufang.${app}.ended`);
  // Expiry by this device's own clock, which may be wrong by years.
  const lifetimeMs = Date.parse(signedIn.expiresAt) - (Date.now() + state.clockAheadMs);
  access = { token: signedIn.accessToken, until: Date.now() + lifetimeMs, personId };
}

function post(path: string, body: unknown): Promise<unknown> {
  return send('POST', path, JSON.stringify(body));
}

async function send(method: string, path: string, body?: string): Promise<unknown> {
  const headers = { 'Content-Type': 'application/json', 'Accept-Language': languageTag() };
  const begunAt = performance.now();
  let response: Response;
  try {
    response = await fetch(path, { method, headers, ...(body === undefined ? {} : { body }) });
  } catch {
    markUnreachable();
    throw new Unreachable();
  }
  recordResponse(response, begunAt);
  if (!response.ok) throw await readProblem(response);
  return response.status === 204 ? null : readJson(response);
}

/** Record what each response shows: the server is reachable, and its time. */
export function recordResponse(response: Response, begunAt: number): void {
  markReachable(begunAt);
  const date = Date.parse(response.headers.get('Date') ?? '');
  if (!Number.isNaN(date)) state.clockAheadMs = date - Date.now();
}

/** A lasting ID of this browser, so that the server can detect a phone shared by two caseworkers. */
function hardwareId(): string {
  const key = 'zoufang.hardwareId';
  const id = localStorage.getItem(key) ?? crypto.randomUUID();
  localStorage.setItem(key, id);
  return id;
}

function deviceLabel(): string {
  const platform = /\(([^)]*)\)/.exec(navigator.userAgent)?.[1] ?? navigator.userAgent;
  return platform.slice(0, 100);
}
