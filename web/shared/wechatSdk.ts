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

interface Answers<Result> {
  success: (result: Result) => void;
  fail: () => void;
  cancel: () => void;
}

interface Sdk {
  config(options: object): void;
  ready(then: () => void): void;
  error(then: (failure: { errMsg: string }) => void): void;
  getLocation(options: Answers<Record<keyof WechatLocation, number | string>> & { type: 'wgs84' }): void;
  chooseImage(options: Answers<{ localIds: string[] }> & { count: 1; sizeType: string[]; sourceType: string[] }): void;
  getLocalImgData(options: Answers<{ localData: string }> & { localId: string }): void;
  scanQRCode(options: Answers<{ resultStr: string }> & { needResult: 1; scanType: string[] }): void;
}

const FEATURES = ['getLocation', 'chooseImage', 'getLocalImgData', 'scanQRCode'] as const;
type Feature = (typeof FEATURES)[number];

let opened: Promise<Sdk | null> | null = null;
let isOpen = false;
// What this WeChat has refused once: the web's own API takes its place until the page is loaded anew.
const broken = new Set<Feature>();

/** Whether WeChat can be asked for this at once. Only then may a tap wait for it: a file input wants the tap itself. */
export function hasFeature(feature: Feature): boolean {
  return isOpen && !broken.has(feature);
}

/** Resolve to the SDK, or to null outside WeChat and where it can't be used. */
export function openSdk(): Promise<Sdk | null> {
  if (!isInWechat) return Promise.resolve(null);
  return (opened ??= open().then(
    (sdk) => {
      isOpen = true;
      return sdk;
    },
    () => {
      opened = null; // it may work with the next network
      return null;
    },
  ));
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

/** Resolve to a photo in its original size, null where the person has closed WeChat's camera. Throws where it fails. */
export async function takeWechatPhoto(): Promise<Blob | null> {
  const chosen = await call<{ localIds: string[] }>('chooseImage', (sdk, answers) =>
    sdk.chooseImage({ count: 1, sizeType: ['original'], sourceType: ['camera'], ...answers }),
  );
  const localId = chosen?.localIds[0];
  if (!localId) return null;
  const data = await call<{ localData: string }>('getLocalImgData', (sdk, answers) =>
    sdk.getLocalImgData({ localId, ...answers }),
  );
  return data && decodePicture(data.localData);
}

/** Resolve to the text of a code by WeChat's scanner, null where the person has closed it. Throws where it fails. */
export async function scanByWechat(): Promise<string | null> {
  const scanned = await call<{ resultStr: string }>('scanQRCode', (sdk, answers) =>
    sdk.scanQRCode({ needResult: 1, scanType: ['qrCode'], ...answers }),
  );
  return scanned?.resultStr ?? null;
}

async function call<Result>(
  feature: Feature,
  ask: (sdk: Sdk, answers: Answers<Result>) => void,
): Promise<Result | null> {
  const sdk = await openSdk();
  if (!sdk) throw new Error(feature);
  return new Promise((resolve, reject) => {
    const fail = (): void => {
      broken.add(feature);
      reject(new Error(feature));
    };
    ask(sdk, { success: resolve, fail, cancel: () => resolve(null) });
  });
}

/** Android gives bare base64 with line breaks, iOS a data URL whose type is misspelt: the bytes say what it is. */
function decodePicture(localData: string): Blob {
  const text = atob(localData.replace(/^data:[^,]*,/, '').replace(/\s/g, ''));
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const type = bytes[0] === 0x89 ? 'image/png' : text.slice(4, 8) === 'ftyp' ? 'image/heic' : 'image/jpeg';
  return new Blob([bytes], { type });
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
    wx.config({ debug: false, ...config, jsApiList: FEATURES, openTagList: ['wx-open-subscribe'] });
  });
}
