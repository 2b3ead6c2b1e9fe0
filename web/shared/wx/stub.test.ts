// The stub is worth something only while it is as strict as WeChat: each limit, passed by one.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StubWx } from './stub.ts';

let server: Server;
let url: string;
/** Answers are held until the test lets them go. */
let held: (() => void)[];
let wx: StubWx;

beforeEach(async () => {
  held = [];
  server = createServer((_, answer) => void held.push(() => answer.end('{}')));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  wx = new StubWx(tmpdir());
});
afterEach(() => {
  vi.useRealTimers();
  server.closeAllConnections();
  server.close();
});

function ask(method = 'GET'): Promise<string> {
  return new Promise((resolve) => {
    wx.request({ url, method, success: () => resolve('ok'), fail: ({ errMsg }) => resolve(errMsg) });
  });
}

async function arrived(count: number): Promise<void> {
  await vi.waitFor(() => expect(held.length).toBe(count));
}

test('PATCH is no method of wx.request', async () => {
  expect(await ask('PATCH')).toBe('request:fail invalid method PATCH');
});

test('the eleventh request at once fails, and ten do not', async () => {
  const ten = Array.from({ length: 10 }, () => ask());
  expect(await ask()).toBe('request:fail exceed max task count');
  await arrived(10);
  held.forEach((go) => go());
  expect(new Set(await Promise.all(ten))).toEqual(new Set(['ok']));
});

test('what is open five seconds after the app was hidden is cut, and nothing begins until it is shown', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  let told = '';
  const asked = ask().then((word) => (told = word));
  await arrived(1);
  wx.hideApp();
  await vi.advanceTimersByTimeAsync(4_999);
  expect(told).toBe('');
  await vi.advanceTimersByTimeAsync(1);
  await asked;
  expect(told).toBe('request:fail interrupted');
  expect(await ask()).toBe('request:fail interrupted');
  wx.showApp();
  vi.useRealTimers();
  const again = ask();
  await arrived(2);
  held.forEach((go) => go());
  expect(await again).toBe('ok');
});

test('who is back within five seconds loses nothing', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const asked = ask();
  await arrived(1);
  wx.hideApp();
  await vi.advanceTimersByTimeAsync(4_000);
  wx.showApp();
  await vi.advanceTimersByTimeAsync(60_000);
  vi.useRealTimers();
  held.forEach((go) => go());
  expect(await asked).toBe('ok');
});

test('a key holds one megabyte and all of them ten', () => {
  const megabyte = 'x'.repeat(1024 * 1024 - 2); // two more for the quotes
  for (let key = 0; key < 10; key++) wx.setStorageSync(`k${key}`, megabyte);
  expect(() => wx.setStorageSync('more', '')).toThrow('exceed storage max size 10Mb');
  expect(() => wx.setStorageSync('k0', `${megabyte}x`)).toThrow('entry size limit');
  expect(() => wx.setStorageSync('k0', '字'.repeat(400_000))).toThrow('entry size limit'); // bytes, not letters
  expect(wx.getStorageSync('k0')).toBe(megabyte); // and what was kept stays
});
