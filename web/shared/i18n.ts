// Two languages, Chinese first. An app gives its words once as [中文, English] and gets a typed `t`; what is missing
// in English can't be left out, the type asks for it. The choice is kept on this device for all three apps.
import { ref } from 'vue';

export type Language = 'zh' | 'en';
export type Message = readonly [zh: string, en: string];

const KEY = 'zoufang.language';
export const language = ref<Language>(localStorage.getItem(KEY) === 'en' ? 'en' : 'zh');
document.documentElement.lang = languageTag();

export function setLanguage(chosen: Language): void {
  language.value = chosen;
  localStorage.setItem(KEY, chosen);
  document.documentElement.lang = languageTag();
}

/** As BCP 47: for `Intl`, `lang` and `Accept-Language`. */
export function languageTag(): string {
  return language.value === 'zh' ? 'zh-CN' : 'en';
}

export type Values = Record<string, string | number>;

/** `defineMessages(messages)('key', {n: 3})`: `{n}` in the text is replaced; `{n:day|days}` by the number and the word that goes with it. */
export function defineMessages<Words extends Record<string, Message>>(
  words: Words,
): (key: keyof Words, values?: Values) => string {
  return (key, values) => interpolate(localize(words[key]!), values);
}

/** Of a pair that comes from elsewhere (a checklist's labels) the one in the chosen language. */
export function localize(word: Message | { zh: string; en?: string | null }): string {
  const [zh, en] = 'zh' in word ? [word.zh, word.en] : word;
  return language.value === 'en' ? en || zh : zh;
}

/** “甲、乙” or “A, B”. */
export function joinList(words: readonly string[]): string {
  return words.join(language.value === 'zh' ? '、' : ', ');
}

/** What something is called, before the thing: “办理人：” or “Handler: ”. */
export function withColon(label: string): string {
  return language.value === 'zh' ? `${label}：` : `${label}: `;
}

/** Said by the way, after the thing: “（上次）” or “ (before)”. */
export function inParentheses(text: string): string {
  return language.value === 'zh' ? `（${text}）` : ` (${text})`;
}

/** Of “day|days” the one that goes with a number; a word that has only one form goes with any. */
export function pluralize(words: string, count: string | number): string {
  const [one, many] = words.split('|');
  return Number(count) === 1 ? one! : (many ?? one!);
}

/** Of the server's words, which begin small in English to fit into a sentence, as they stand alone. */
export function localizeCapitalized(word: Parameters<typeof localize>[0]): string {
  const text = localize(word);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function interpolate(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)(?::([^|}]+\|[^|}]+))?\}/g, (whole, name: string, words: string | undefined) => {
    const value = values[name];
    if (value === undefined) return whole;
    return words ? `${value} ${pluralize(words, value)}` : String(value);
  });
}
