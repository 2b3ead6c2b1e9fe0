// WeChat's JS-SDK, loaded inside WeChat alone. Android signs the current address, iOS the one the app was opened at: both
// are tried. Whatever it can't do, the caller does with the web's own API.
import { api, unwrap } from './api/client.ts';
import { isInWechat } from './wechat.ts';

const SCRIPT = 'https://res.wx.qq.com/open/js/jweixin-1.6.0.js';
const TIMEOUT_MS = 8_000;
const ENTRY = location.href.split('#')[0]!;

export interface WechatLocation {
  latitude: number;
  longitude: number;
  accuracy: number;
  speed: number;
}

interface Sdk {
  config(options: object): void;
  ready(then: () => void): void;
  error(then: (failure: { errMsg: string }) => void): void;
  getLocation(options: {
    type: 'wgs84';
    success: (place: Record<keyof WechatLocation, number | string>) => void;
    fail: () => void;
    cancel: () => void;
  }): void;
}

let opened: Promise<Sdk | null> | null = null;

/** Resolve to the SDK, or to null outside WeChat and where it can't be used. */
export function openSdk(): Promise<Sdk | null> {
  if (!isInWechat) return Promise.resolve(null);
  return (opened ??= open().catch(() => {
    opened = null; // it may work with the next network
    return null;
  }));
}

/** Resolve to the position by WeChat, null where it gives none; `denied` when the person declined. */
export async function locateByWechat(): Promise<WechatLocation | 'denied' | null> {
  const sdk = await openSdk();
  if (!sdk) return null;
  return new Promise((resolve) => {
    setTimeout(() => resolve(null), TIMEOUT_MS);
    sdk.getLocation({
      type: 'wgs84',
      success: ({ latitude, longitude, accuracy, speed }) =>
        resolve({
          // Some versions give texts.
          latitude: Number(latitude),
          longitude: Number(longitude),
          accuracy: Number(accuracy),
          speed: Number(speed),
        }),
      fail: () => resolve(null),
      cancel: () => resolve('denied'),
    });
  });
}

async function open(): Promise<Sdk> {
  await loadScript();
  const { wx } = globalThis as unknown as { wx: Sdk };
  const current = location.href.split('#')[0]!;
  try {
    await configure(wx, ENTRY);
  } catch (error) {
    if (current === ENTRY) throw error;
    await configure(wx, current);
  }
  return wx;
}

function loadScript(): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = SCRIPT;
    script.onload = () => resolve();
    script.onerror = () => reject(new Error('jweixin'));
    document.head.append(script);
  });
}

async function configure(wx: Sdk, url: string): Promise<void> {
  const config = await unwrap(api.POST('/auth/v1/wechat/js-config', { body: { url } }));
  await new Promise<void>((resolve, reject) => {
    setTimeout(() => reject(new Error('wx.config')), TIMEOUT_MS);
    // WeChat calls `ready` after an error too; the first of the two settles it.
    wx.error(({ errMsg }) => reject(new Error(errMsg)));
    wx.ready(() => resolve());
    wx.config({ debug: false, ...config, jsApiList: ['getLocation'], openTagList: ['wx-open-subscribe'] });
  });
}
