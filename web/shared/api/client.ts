// The API client with the types of openapi/openapi.json. `unwrap(api.GET('/desk/v1/…'))` resolves to the body or throws: a
// `Problem` for a refusal by the server, `Unreachable` when there was no response.
import createClient, { type Middleware } from 'openapi-fetch';
import { languageTag } from '../i18n.ts';
import { markUnreachable } from '../online.ts';
import { Problem, readProblem, Unreachable } from './problems.ts';
import { accessToken, discardAccessToken, endSession, recordResponse } from './session.ts';
import type { paths } from './wire.d.ts';

/** `fetch` as the signed-in person; repeats the request once with a new token when the access token had expired. */
export async function authorizedFetch(input: string | Request, init?: RequestInit): Promise<Response> {
  const retryInput = input instanceof Request ? input.clone() : input;
  const response = await send(input, init);
  if (response.status !== 401) return response;
  const problem = await readProblem(response.clone());
  if (problem.code === 'auth.device_ended') endSession(problem.code);
  return problem.code === 'auth.token_expired' || problem.code === 'auth.token_invalid'
    ? send(retryInput, init)
    : response;
}

async function send(input: string | Request, init: RequestInit = {}): Promise<Response> {
  const token = await accessToken();
  const headers = new Headers(input instanceof Request ? input.headers : init.headers);
  headers.set('Authorization', `Bearer ${token}`);
  headers.set('Accept-Language', languageTag());
  let response: Response;
  try {
    response = await fetch(input, { ...init, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    markUnreachable();
    throw new Unreachable();
  }
  recordResponse(response);
  if (response.status === 401) discardAccessToken(token);
  return response;
}

const language: Middleware = {
  onRequest({ request }) {
    request.headers.set('Accept-Language', languageTag());
    return request;
  },
};

/** As the signed-in person. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: authorizedFetch });

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
  const { data, error, response } = await pending;
  if (!response.ok) throw new Problem(response.status, (error ?? {}) as Record<string, unknown>);
  return data as Data;
}
