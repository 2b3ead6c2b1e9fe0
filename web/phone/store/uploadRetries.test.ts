import { expect, test, vi } from 'vitest';
import type { Photo } from './localDatabase.ts';

vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined });
vi.stubGlobal('document', { documentElement: {}, createElement: () => ({}) });
const { describeFailure } = await import('./uploadRetries.ts');
const { parseProblem } = await import('@shared/api/problems.ts');

const PHOTO = { id: 'p', state: 'sending', attempts: 0 } as Photo;
const ours = (status: number, code: string): string =>
  JSON.stringify({ type: `urn:zoufang:problem:${code}`, status, code, title: '照片不完整' });

test('the server’s own refusal of a photo is final', () => {
  for (const [status, code] of [
    [422, 'photo.truncated'],
    [413, 'photo.too_many_bytes'],
    [409, 'upload.size_differs'],
  ] as const) {
    expect(describeFailure(PHOTO, parseProblem(status, ours(status, code)))).toMatchObject({ state: 'failed' });
  }
});

test('whatever else answers, or nothing, leaves a photo waiting for its next attempt', () => {
  const answers: [number, string][] = [
    [502, '<html><h1>502 Bad Gateway</h1></html>'],
    [500, ours(500, 'server.error')],
    [503, ours(503, 'server.unavailable')],
    [200, '<html>Please sign in to this network</html>'],
    [403, '<html>Forbidden by the portal</html>'],
    [413, '<html>413 Request Entity Too Large</html>'],
    [422, '{"title": "from somewhere else"}'],
    [408, ours(408, 'request.timeout')],
    [423, ours(423, 'upload.busy')],
    [429, ours(429, 'request.rate_limited')],
    [401, ours(401, 'auth.device_ended')],
    [404, ours(404, 'thing.not_found')],
  ];
  for (const [status, body] of answers) {
    expect(describeFailure(PHOTO, parseProblem(status, body), 0), `${status} ${body}`).toMatchObject({
      state: 'kept',
      attempts: 1,
      retryAt: 10_000,
    });
  }
  expect(describeFailure(PHOTO, null, 0)).toMatchObject({ state: 'kept', failure: null, retryAt: 10_000 });
});

test('the waits grow up to ten minutes', () => {
  const waits = [0, 1, 2, 9].map((attempts) => describeFailure({ ...PHOTO, attempts }, null, 0).retryAt);
  expect(waits).toEqual([10_000, 20_000, 40_000, 600_000]);
});

test('a proxy’s page is told in words, without its number', () => {
  for (const status of [200, 403, 502, 504]) {
    const { failure } = describeFailure(PHOTO, parseProblem(status, '<html></html>'));
    expect(failure).toMatch(/^[^\d]{8,}$/);
  }
});

test('an upload that the server no longer knows begins anew', () => {
  expect(describeFailure(PHOTO, parseProblem(410, ours(410, 'upload.gone')))).toMatchObject({ uploadUrl: null });
});
