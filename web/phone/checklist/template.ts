// A published checklist as the phone stores it; the server's checklists/template.py documents each field.
export interface LocalizedText {
  zh: string;
  en: string;
}

export type CellKind = 'text' | 'integer' | 'money' | 'date' | 'choice' | 'multi_choice' | 'yes_no';
export type QuestionKind = CellKind | 'member_table' | 'income_table' | 'geopoint' | 'photo' | 'signature';

export interface Column {
  id: string;
  kind: QuestionKind;
  label: LocalizedText;
  hint?: LocalizedText | null;
  required?: boolean;
  visibleIf?: object | null;
  constraint?: object | null;
  constraintMessage?: LocalizedText | null;
  constraintSeverity?: 'error' | 'notice';
  choices?: { code: string; label: LocalizedText }[];
  minimum?: number | null;
  maximum?: number | null;
  maxLength?: number | null;
}

export interface Question extends Column {
  columns?: Column[];
}

export interface Section {
  id: string;
  title: LocalizedText;
  questions: Question[];
  visibleIf?: object | null;
}

export interface Template {
  code: string;
  kind: string;
  version: number;
  title: LocalizedText;
  sections: Section[];
}

export const INCOME_KINDS: Record<string, LocalizedText> = {
  wages: { zh: '工资性收入', en: 'Wages' },
  business: { zh: '经营净收入', en: 'Net business income' },
  property: { zh: '财产净收入', en: 'Net property income' },
  transfer: { zh: '转移净收入', en: 'Net transfer income' },
};

export function listQuestions(template: Template): Question[] {
  return template.sections.flatMap((section) => section.questions);
}
