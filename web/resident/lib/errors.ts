// Turn an error into a sentence for the resident.
import { Problem } from '@shared/api/problems.ts';
import { defineMessages } from '@shared/i18n.ts';

const t = defineMessages({
  noNetwork: ['现在连不上服务器，请稍后再试。', 'The server can’t be reached. Try again later.'],
});

export function describeError(error: unknown): string {
  return error instanceof Problem ? error.sentence : t('noNetwork');
}
