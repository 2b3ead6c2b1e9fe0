// The API with the types of openapi/openapi.json. `ask(api.GET('/desk/v1/…'))` gives the body or throws: a `Problem`
// for what the server refused, `Unreachable` when there was no answer.
import createClient, { type Middleware } from 'openapi-fetch';
import { languageTag } from '../i18n.ts';
import { markUnreachable } from '../online.ts';
import { Problem, readProblem, Unreachable } from './problems.ts';
import { accessToken, discardAccessToken, endSession, recordResponse } from './session.ts';
import type { paths } from './wire.d.ts';

/** `fetch` as the signed-in person; once more with a fresh token when the first was no longer good. */
export async function authorizedFetch(input: string | Request, init?: RequestInit): Promise<Response> {
  const again = input instanceof Request ? input.clone() : input;
  const answer = await send(input, init);
  if (answer.status !== 401) return answer;
  const problem = await readProblem(answer.clone());
  if (problem.code === 'auth.device_ended') endSession(problem.code);
  return problem.code === 'auth.token_expired' || problem.code === 'auth.token_invalid' ? send(again, init) : answer;
}

async function send(input: string | Request, init: RequestInit = {}): Promise<Response> {
  const token = await accessToken();
  const headers = new Headers(input instanceof Request ? input.headers : init.headers);
  headers.set('Authorization', `Bearer ${token}`);
  headers.set('Accept-Language', languageTag());
  let answer: Response;
  try {
    answer = await fetch(input, { ...init, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    markUnreachable();
    throw new Unreachable();
  }
  recordResponse(answer);
  if (answer.status === 401) discardAccessToken(token);
  return answer;
}

const language: Middleware = {
  onRequest({ request }) {
    request.headers.set('Accept-Language', languageTag());
    return request;
  },
};

/** For the signed-in person. */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: authorizedFetch });

/** For anyone: public postings and look-ups. */
export const publicApi = createClient<paths>({ baseUrl: location.origin });
publicApi.use(language);

interface Told<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The body of an answer, or its problem thrown. */
export async function unwrap<Data>(asked: Promise<Told<Data>>): Promise<Data> {
  const { data, error, response } = await asked;
  if (!response.ok) throw new Problem(response.status, (error ?? {}) as Record<string, unknown>);
  return data as Data;
}
