// The last errors of this app, for a report that something does not work: codes, route templates and lines of the
// program. Messages are left out, because they may hold what somebody typed.
import type { components } from './api/wire.d.ts';

export type ReportedError = components['schemas']['ReportedError'];
const KEY = 'zoufang.errors';
const MOST = 20;

export function listErrors(): ReportedError[] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '[]') as ReportedError[];
  } catch {
    return [];
  }
}

export function clearErrors(): void {
  localStorage.removeItem(KEY);
}

/** `place` is the template of a route, such as `/desk/v1/visits/{visit_id}`. */
export function logRequest(place: string, status: number | null, code: string): void {
  log({ kind: 'request', code, place, status });
}

/** Log what no code of this app has caught. */
export function watchScriptErrors(): void {
  addEventListener('error', (event) => logScript(event.error, event.filename, event.lineno));
  addEventListener('unhandledrejection', (event) => logScript(event.reason, '', 0));
}

function logScript(error: unknown, file: string, line: number): void {
  const name = error instanceof Error ? error.name : 'Error';
  const chunk = file.split('/').pop()?.split(/[-.?]/)[0] ?? '';
  log({ kind: 'script', code: name, place: chunk ? `${chunk}:${line}` : '', status: null });
}

function log(error: Omit<ReportedError, 'at'>): void {
  const entry = {
    ...error,
    code:
      error.code
        .replace(/[^A-Za-z0-9_.]/g, '')
        .replace(/^[^A-Za-z]+/, '')
        .slice(0, 48) || 'Error',
    place: /^(?!.*\d{6})(?!.*\w{33})[\w./{}:-]{0,120}$/.test(error.place) ? error.place : '',
    at: new Date().toISOString(),
  };
  try {
    localStorage.setItem(KEY, JSON.stringify([...listErrors(), entry].slice(-MOST)));
  } catch {
    // The storage is full or closed: the report goes without it.
  }
}
