// The stub must be as strict as WeChat: each limit is exceeded by one.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StubWx } from './stub.ts';

let server: Server;
let url: string;
/** Responses are held until the test releases them. */
let held: (() => void)[];
let wx: StubWx;

beforeEach(async () => {
  held = [];
  server = createServer((_, response) => void held.push(() => response.end('{}')));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  wx = new StubWx(tmpdir());
});
afterEach(() => {
  vi.useRealTimers();
  server.closeAllConnections();
  server.close();
});

function request(method = 'GET'): Promise<string> {
  return new Promise((resolve) => {
    wx.request({ url, method, success: () => resolve('ok'), fail: ({ errMsg }) => resolve(errMsg) });
  });
}

async function waitForRequests(count: number): Promise<void> {
  await vi.waitFor(() => expect(held.length).toBe(count));
}

test('wx.request refuses PATCH', async () => {
  expect(await request('PATCH')).toBe('request:fail invalid method PATCH');
});

test('ten concurrent requests pass and the eleventh fails', async () => {
  const ten = Array.from({ length: 10 }, () => request());
  expect(await request()).toBe('request:fail exceed max task count');
  await waitForRequests(10);
  held.forEach((release) => release());
  expect(new Set(await Promise.all(ten))).toEqual(new Set(['ok']));
});

test('a request open five seconds after the app was hidden is cut, and none starts until it is shown', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let outcome = '';
  const pending = request().then((result) => (outcome = result));
  await waitForRequests(1);
  wx.hideApp();
  await vi.advanceTimersByTimeAsync(4_999);
  expect(outcome).toBe('');
  await vi.advanceTimersByTimeAsync(1);
  await pending;
  expect(outcome).toBe('request:fail interrupted');
  expect(await request()).toBe('request:fail interrupted');
  wx.showApp();
  vi.useRealTimers();
  const retried = request();
  await waitForRequests(2);
  held.forEach((release) => release());
  expect(await retried).toBe('ok');
});

test('an app shown again within five seconds loses no request', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const pending = request();
  await waitForRequests(1);
  wx.hideApp();
  await vi.advanceTimersByTimeAsync(4_000);
  wx.showApp();
  await vi.advanceTimersByTimeAsync(60_000);
  vi.useRealTimers();
  held.forEach((release) => release());
  expect(await pending).toBe('ok');
});

test('a key holds one megabyte and all keys ten', () => {
  const megabyte = 'x'.repeat(1024 * 1024 - 2); // two more for the quotes
  for (let key = 0; key < 10; key++) wx.setStorageSync(`k${key}`, megabyte);
  expect(() => wx.setStorageSync('more', '')).toThrow('exceed storage max size 10Mb');
  expect(() => wx.setStorageSync('k0', `${megabyte}x`)).toThrow('entry size limit');
  expect(() => wx.setStorageSync('k0', '字'.repeat(400_000))).toThrow('entry size limit'); // bytes, not characters
  expect(wx.getStorageSync('k0')).toBe(megabyte); // the stored value stays
});
