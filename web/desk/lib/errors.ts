// Turn an error into a sentence for the person at the screen.
import { Problem } from '@shared/api/problems.ts';
import { defineMessages } from '@shared/i18n.ts';

const t = defineMessages({
  noNetwork: ['连不上服务器，请检查网络后再试。', 'The server can’t be reached. Check the network and try again.'],
});

export function describeError(error: unknown): string {
  return error instanceof Problem ? error.sentence : t('noNetwork');
}
