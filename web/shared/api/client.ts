// The API client with the types of openapi/openapi.json. `unwrap(api.GET('/desk/v1/…'))` resolves to the body or throws: a
// `Problem` for a refusal by the server, `Unreachable` when there was no response.
import createClient, { type Middleware } from 'openapi-fetch';
import { languageTag } from '../i18n.ts';
import { markUnreachable } from '../online.ts';
import { logRequest } from '../problemLog.ts';
import { Problem, readProblem, Unreachable } from './problems.ts';
import { accessToken, discardAccessToken, endSession, recordResponse, session } from './session.ts';
import type { paths } from './wire.d.ts';

/**
 * `fetch` as this person, who must still be the one signed in when it is sent; repeats the request once with a new token
 * when the access token had expired.
 */
export async function authorizedFetch(
  input: string | Request,
  init?: RequestInit,
  personId = session.person?.personId,
): Promise<Response> {
  const retryInput = input instanceof Request ? input.clone() : input;
  const response = await send(input, init, personId);
  if (response.status !== 401) return repeatWithProof(response, retryInput, init, personId);
  const problem = await readProblem(response.clone());
  if (problem.code === 'auth.device_ended') endSession(problem.code);
  return problem.code === 'auth.token_expired' || problem.code === 'auth.token_invalid'
    ? send(retryInput, init, personId)
    : response;
}

type ConfirmIdentity = () => Promise<string | null>;
let confirmIdentity: ConfirmIdentity | null = null;

/** Register who asks the person for a proof of identity; it resolves to the proof, or to null when they decline. */
export function onStepUpRequired(handler: ConfirmIdentity | null): void {
  confirmIdentity = handler;
}

/** Repeat a request that needs a proof of identity, once the person has given it. */
async function repeatWithProof(
  response: Response,
  input: string | Request,
  init: RequestInit = {},
  personId?: string,
): Promise<Response> {
  const headers = new Headers(input instanceof Request ? input.headers : init.headers);
  if (response.status !== 403 || !confirmIdentity || headers.has('X-Step-Up')) return response;
  const { code } = await readProblem(response.clone());
  const proof = code === 'auth.step_up_required' ? await confirmIdentity() : null;
  if (!proof) return response;
  headers.set('X-Step-Up', proof);
  return input instanceof Request
    ? send(new Request(input, { headers }), init, personId)
    : send(input, { ...init, headers }, personId);
}

async function send(input: string | Request, init: RequestInit = {}, personId?: string): Promise<Response> {
  const token = await accessToken(personId);
  const headers = new Headers(input instanceof Request ? input.headers : init.headers);
  headers.set('Authorization', `Bearer ${token}`);
  headers.set('Accept-Language', languageTag());
  const begunAt = performance.now();
  let response: Response;
  try {
    response = await fetch(input, { ...init, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    markUnreachable();
    throw new Unreachable();
  }
  recordResponse(response, begunAt);
  if (response.status === 401) discardAccessToken(token);
  return response;
}

const language: Middleware = {
  onRequest({ request }) {
    request.headers.set('Accept-Language', languageTag());
    return request;
  },
};

/** Keep what went wrong for a report: the route's template and the code, nothing of the request or the answer. */
const errorLog: Middleware = {
  async onResponse({ schemaPath, response }) {
    if (response.status >= 400) logRequest(schemaPath, response.status, (await readProblem(response.clone())).code);
  },
};

/** As the signed-in person. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: (request) => authorizedFetch(request) });
api.use(errorLog);

/** As this person and nobody else: what belongs to one person's store is never sent as another. */
export function openApiFor(personId: string): typeof api {
  const client = createClient<paths>({
    baseUrl: location.origin,
    fetch: (request) => authorizedFetch(request, undefined, personId),
  });
  client.use(errorLog);
  return client;
}

/** Without sign-in: public postings and look-ups. */
export const publicApi = createClient<paths>({ baseUrl: location.origin });
publicApi.use(language);

interface ApiResult<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** Return the body of a response, or throw its problem. */
export async function unwrap<Data>(pending: Promise<ApiResult<Data>>): Promise<Data> {
  const { data, error, response } = await pending.catch((reason: unknown) => {
    // A page where JSON was expected, as a network's portal answers.
    throw reason instanceof SyntaxError ? new Problem(200, {}) : reason;
  });
  if (!response.ok) throw new Problem(response.status, typeof error === 'object' ? { ...error } : {});
  return data as Data;
}
