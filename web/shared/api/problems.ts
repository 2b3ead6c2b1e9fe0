// Errors of API calls: a `Problem` is a problem response of the server (RFC 9457, with a stable `code` and texts in the
// reader's language), `Unreachable` means that there was no response.
import { localize, defineMessages } from '../i18n.ts';
import { describeFieldError, type FieldError } from './fieldErrors.ts';

const t = defineMessages({
  unavailable: ['服务器暂时不可用（{status}）', 'The server is not available just now ({status})'],
});

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly fieldErrors: FieldError[];
  readonly body: Record<string, unknown>;

  constructor(status: number, body: Record<string, unknown>) {
    const title = String(body['title'] ?? status);
    const detail = String(body['detail'] ?? '');
    super(detail || title);
    this.status = status;
    this.code = String(body['code'] ?? 'server.error');
    this.title = title;
    this.detail = detail;
    this.fieldErrors = (body['errors'] ?? []) as FieldError[];
    this.body = body;
  }

  /** The whole problem as text: what happened, what to do, and each refused field with its reason. */
  get sentence(): string {
    return [this.title, this.detail, this.fieldErrors.map(describeFieldError).join(localize(['；', '; ']))]
      .filter(Boolean)
      .join(' ');
  }
}

export class Unreachable extends Error {}

/** The problem in an unsuccessful response, also when a proxy sent a body of another type. */
export async function readProblem(response: Response): Promise<Problem> {
  try {
    return new Problem(response.status, (await response.json()) as Record<string, unknown>);
  } catch {
    return new Problem(response.status, { title: t('unavailable', { status: response.status }) });
  }
}
