// What a report that something does not work says of this device. Nothing that anybody typed, no name, no id.
import { session } from './api/session.ts';
import type { components } from './api/wire.d.ts';
import type { Message } from './i18n.ts';
import { online } from './online.ts';

export type ReportedDevice = components['schemas']['ReportedDevice'];
export type ReportSubject = components['schemas']['ReportProblem']['about'];
export const REPORT_SUBJECTS: Record<ReportSubject, Message> = {
  sync: ['不能同步或提交', 'It does not sync or submit'],
  photos: ['照片有问题', 'Photos'],
  slow: ['太慢', 'It is slow'],
  crash: ['打不开或闪退', 'It does not open, or closes'],
  wrong: ['显示或计算不对', 'What it shows is wrong'],
  other: ['其他', 'Something else'],
};
export const REPORT_STATES: Record<components['schemas']['ProblemReportLine']['state'], Message> = {
  open: ['待答复', 'Not answered yet'],
  answered: ['已答复', 'Answered'],
  closed: ['已关闭', 'Closed'],
};

export async function describeDevice(): Promise<ReportedDevice> {
  const { usage, quota } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
  return {
    appVersion: __APP_VERSION__,
    system: findSystem(navigator.userAgent),
    browser: findBrowser(navigator.userAgent),
    online: online.value,
    clockOffS: Math.round(-session.clockAheadMs / 1000),
    usedBytes: usage ?? null,
    quotaBytes: quota ?? null,
    isPersistent: (await navigator.storage?.persisted?.().catch(() => null)) ?? null,
  };
}

function findSystem(agent: string): string | null {
  const android = /Android (\d{1,3}(?:\.\d{1,3}){0,2})/.exec(agent);
  if (android) return `Android ${android[1]}`;
  const phone = /(?:iPhone|iPad).*? OS (\d{1,3})/.exec(agent);
  if (phone) return `iOS ${phone[1]}`;
  if (/Windows/.test(agent)) return 'Windows';
  if (/Macintosh/.test(agent)) return 'macOS';
  return /Linux/.test(agent) ? 'Linux' : null;
}

function findBrowser(agent: string): string | null {
  for (const [name, pattern] of [
    ['WeChat', /MicroMessenger\/(\d{1,4})/],
    ['Edge', /Edg\/(\d{1,4})/],
    ['Chrome', /Chrome\/(\d{1,4})/],
    ['Firefox', /Firefox\/(\d{1,4})/],
    ['Safari', /Version\/(\d{1,4}).*Safari/],
  ] as const) {
    const found = pattern.exec(agent);
    if (found) return `${name} ${found[1]}`;
  }
  return null;
}
