// Errors of API calls: a `Problem` is a problem response of the server (RFC 9457, with a stable `code` and texts in the
// reader's language) or a response of something between, `Unreachable` means that there was no response.
import { localize, defineMessages } from '../i18n.ts';
import { describeFieldError, type FieldError } from './fieldErrors.ts';

const t = defineMessages({
  busy: ['服务器正忙或正在维护，请稍后再试。', 'The server is busy or under maintenance. Please try again later.'],
  portal: [
    '这个网络要先登录或认证（例如宾馆、商场的无线网络）。请在浏览器里完成认证，或改用手机流量。',
    'This network asks for a sign-in of its own (as in hotels). Complete it in the browser, or use mobile data.',
  ],
  refused: [
    '服务器前面的设备拒绝了这次请求，请稍后再试；一直这样请告诉管理员。',
    'Something in front of the server refused this request. Try again later; if it stays so, tell your administrator.',
  ],
});

/** Of a response that is not the server's own: a proxy's error page, a portal's sign-in page. */
export const NOT_OURS = 'network.not_ours';
const TYPE_PREFIX = 'urn:zoufang:problem:';
/** The same request again gets the same answer; after any other status a later attempt may go through. */
const FINAL_STATUSES = new Set([400, 403, 405, 411, 412, 413, 415, 422]);

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly fieldErrors: FieldError[];
  readonly body: Record<string, unknown>;

  constructor(status: number, body: Record<string, unknown>) {
    const isProblem = typeof body['title'] === 'string';
    const title = isProblem ? String(body['title']) : describeStatus(status);
    const detail = isProblem ? String(body['detail'] ?? '') : '';
    super(detail || title);
    this.status = status;
    this.code = isProblem ? String(body['code']) : NOT_OURS;
    this.title = title;
    this.detail = detail;
    this.fieldErrors = isProblem ? ((body['errors'] ?? []) as FieldError[]) : [];
    this.body = body;
  }

  /** The server itself refused, and would refuse the same again. */
  get isFinal(): boolean {
    return this.body['type'] === TYPE_PREFIX + this.code && FINAL_STATUSES.has(this.status);
  }

  /** The whole problem as text: what happened, what to do, and each refused field with its reason. */
  get sentence(): string {
    return [this.title, this.detail, this.fieldErrors.map(describeFieldError).join(localize(['；', '; ']))]
      .filter(Boolean)
      .join(' ');
  }
}

export class Unreachable extends Error {}

/** Somebody else is signed in than the person whom the request was for; it was not sent. */
export class OtherPerson extends Unreachable {}

/** The problem in an unsuccessful response, also when a proxy sent a body of another type. */
export async function readProblem(response: Response): Promise<Problem> {
  return parseProblem(response.status, await response.text().catch(() => ''));
}

export function parseProblem(status: number, text: string): Problem {
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not JSON, so not the server's own response.
  }
  return new Problem(status, body && typeof body === 'object' ? (body as Record<string, unknown>) : {});
}

/** The JSON of a successful response. Throws a `Problem` when it is a page, as a network's portal answers. */
export async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    throw new Problem(response.status, {});
  }
}

/** Words for a response that is not the server's own. */
function describeStatus(status: number): string {
  if (status < 400 || status === 511) return t('portal');
  return status >= 500 || [408, 425, 429].includes(status) ? t('busy') : t('refused');
}
