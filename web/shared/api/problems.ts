// What can go wrong on the wire, as errors: a `Problem` is the server's word (RFC 9457, a stable `code`, a sentence in
// the reader's language), `Unreachable` is no answer at all.
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
  readonly faults: FieldError[];
  readonly body: Record<string, unknown>;

  constructor(status: number, body: Record<string, unknown>) {
    const title = String(body['title'] ?? status);
    const detail = String(body['detail'] ?? '');
    super(detail || title);
    this.status = status;
    this.code = String(body['code'] ?? 'server.error');
    this.title = title;
    this.detail = detail;
    this.faults = (body['errors'] ?? []) as FieldError[];
    this.body = body;
  }

  /** All of it for a person: what happened, what to do, and each field that was refused, with the reason. */
  get sentence(): string {
    return [this.title, this.detail, this.faults.map(describeFieldError).join(localize(['；', '; ']))]
      .filter(Boolean)
      .join(' ');
  }
}

export class Unreachable extends Error {}

/** The problem in an answer that is not a success; also where a proxy answered with something else. */
export async function readProblem(answer: Response): Promise<Problem> {
  try {
    return new Problem(answer.status, (await answer.json()) as Record<string, unknown>);
  } catch {
    return new Problem(answer.status, { title: t('unavailable', { status: answer.status }) });
  }
}
