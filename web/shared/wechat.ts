// WeChat's browser, and what it added to the address of this page. Import it before the router: it takes the code and the
// state out of the address, where they would stand in histories and in links that are passed on.
import { readonly, shallowRef } from 'vue';
import type { components } from './api/wire.d.ts';

export type WechatReturn = components['schemas']['WechatReturn'];

export const isInWechat = /MicroMessenger/i.test(navigator.userAgent);
/** On this machine WeChat is a stub that shows its consent page in any browser. */
export const offersWechat = isInWechat || ['127.0.0.1', 'localhost'].includes(location.hostname);

const RETURN_PATH = /^\/(m|r|desk)\/wechat$/;
const LINK_PAGES: Record<string, string> = { m: '/m/me', desk: '/desk/account' };
const LINKING = 'zoufang.wechat.linking';

const back = shallowRef<WechatReturn | null>(takeReturn());
/** What WeChat brought back, until it was used. */
export const wechatReturn = readonly(back);

export function forgetWechatReturn(): void {
  back.value = null;
}

/** Remember that the person who goes to WeChat now links their account, and comes back to their own page. */
export function markLinking(): void {
  localStorage.setItem(LINKING, '1');
}

function takeReturn(): WechatReturn | null {
  const app = RETURN_PATH.exec(location.pathname)?.[1];
  if (!app) return null;
  const isLinking = localStorage.getItem(LINKING) !== null;
  localStorage.removeItem(LINKING);
  const params = new URLSearchParams(location.search);
  history.replaceState(null, '', (isLinking && LINK_PAGES[app]) || `/${app}/`);
  const state = params.get('state');
  return state ? { state, code: params.get('code') } : null;
}
