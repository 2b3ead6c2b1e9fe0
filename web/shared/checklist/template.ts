// A published checklist as openapi.json describes it; the server's checklists/template.py documents each field.
import type { components } from '../api/wire.d.ts';

type Schemas = components['schemas'];
export type LocalizedText = Schemas['Text'];
export type Template = Schemas['Template'];
export type Section = Schemas['Section'];
export type Question = Schemas['Question'];
export type Column = Schemas['Column'];
export type QuestionKind = Question['kind'];

export const INCOME_KINDS: Record<string, LocalizedText> = {
  wages: { zh: '工资性收入', en: 'Wages' },
  business: { zh: '经营净收入', en: 'Net business income' },
  property: { zh: '财产净收入', en: 'Net property income' },
  transfer: { zh: '转移净收入', en: 'Net transfer income' },
};

export function listQuestions(template: Template): Question[] {
  return template.sections.flatMap((section) => section.questions);
}
