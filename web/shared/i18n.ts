// Two languages, Chinese first. A module defines its messages as [中文, English] pairs and gets a typed `t`, so that no
// translation can be missing. The chosen language is stored on this device for all three apps.
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

/** The BCP 47 tag for `Intl`, `lang` and `Accept-Language`. */
export function languageTag(): string {
  return language.value === 'zh' ? 'zh-CN' : 'en';
}

export type Values = Record<string, string | number>;

/**
 * Return the translate function for these messages. `t('key', { n: 3 })` replaces `{n}` by 3, and `{n:day|days}` by the
 * number with the singular or plural.
 */
export function defineMessages<Messages extends Record<string, Message>>(
  messages: Messages,
): ((key: keyof Messages, values?: Values) => string) & { has: (key: string) => boolean } {
  const translate = (key: keyof Messages, values?: Values): string => interpolate(localize(messages[key]!), values);
  return Object.assign(translate, { has: (key: string) => Object.hasOwn(messages, key) });
}

/** Return a text in the chosen language, from a message pair or from a pair of the API (a checklist's labels). */
export function localize(message: Message | { zh: string; en?: string | null }): string {
  const [zh, en] = 'zh' in message ? [message.zh, message.en] : message;
  return language.value === 'en' ? en || zh : zh;
}

/** Join a list: “甲、乙” or “A, B”. */
export function joinList(items: readonly string[]): string {
  return items.join(language.value === 'zh' ? '、' : ', ');
}

/** Add a colon to a label: “办理人：” or “Handler: ”. */
export function withColon(label: string): string {
  return language.value === 'zh' ? `${label}：` : `${label}: `;
}

/** Put a remark in parentheses: “（上次）” or “ (before)”. */
export function inParentheses(text: string): string {
  return language.value === 'zh' ? `（${text}）` : ` (${text})`;
}

/** Choose the singular or plural of “day|days” for a count; a word with a single form fits every count. */
export function pluralize(forms: string, count: string | number): string {
  const [singular, plural] = forms.split('|');
  return Number(count) === 1 ? singular! : (plural ?? singular!);
}

/** Localize a text of the API and capitalize it: the server's English texts start in lower case. */
export function localizeCapitalized(message: Parameters<typeof localize>[0]): string {
  const text = localize(message);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function interpolate(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)(?::([^|}]+\|[^|}]+))?\}/g, (placeholder, name: string, forms: string | undefined) => {
    const value = values[name];
    if (value === undefined) return placeholder;
    return forms ? `${value} ${pluralize(forms, value)}` : String(value);
  });
}
