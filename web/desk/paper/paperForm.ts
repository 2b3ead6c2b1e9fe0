// What a paper form holds of a checklist, and how its photos reach the server.
import { authorizedFetch } from '@shared/api/client.ts';
import { readProblem } from '@shared/api/problems.ts';
import { localize, defineMessages } from '@shared/i18n.ts';
import { newId, sha256Hex } from '@shared/ids.ts';
import type { AnswerError } from '@shared/checklist/evaluate.ts';
import type { Question } from '@shared/checklist/template.ts';

const NOT_ON_PAPER: readonly string[] = ['geopoint', 'photo', 'signature'];
const t = defineMessages({
  required: ['未填写', 'Not filled in'],
  range: ['不在允许的范围内', 'Outside the range'],
  inverted: ['截止早于起始', 'Ends before it begins'],
  member: ['有成员未填写', 'A member is missing'],
  other: ['填写不完整或不符合要求', 'Incomplete, or not as it should be'],
});

export interface FormPhoto {
  id: string;
  sha256: string;
  sizeBytes: number;
  file: File;
  isSent: boolean;
}

export function isOnPaper(question: Question): boolean {
  return !NOT_ON_PAPER.includes(question.kind);
}

export function describeFault(error: AnswerError): string {
  if (error.message) return localize(error.message);
  if (error.code === 'answer.required') return t('required');
  if (error.code === 'answer.period_inverted') return t('inverted');
  if (error.code === 'answer.missing_member') return t('member');
  if (error.code !== 'answer.out_of_range') return t('other');
  return t('range');
}

export async function toFormPhoto(file: File): Promise<FormPhoto> {
  return { id: newId(), sha256: await sha256Hex(file), sizeBytes: file.size, file, isSent: false };
}

/** Send the bytes of a photo that was announced; repeating it changes nothing. */
export async function sendFormPhoto(photo: FormPhoto): Promise<void> {
  const form = new FormData();
  form.set('evidenceId', photo.id);
  form.set('file', photo.file);
  const response = await authorizedFetch(`${location.origin}/field/v1/photos`, { method: 'POST', body: form });
  if (!response.ok) throw await readProblem(response);
  photo.isSent = true;
}
