// A short word after an act, at the top of the screen.
import { MessagePlugin } from 'tdesign-vue-next/es/message';
import { sentence } from './load.ts';

export function done(text: string): void {
  void MessagePlugin.success({ content: text, duration: 3000 });
}

export function failed(error: unknown): void {
  void MessagePlugin.error({ content: sentence(error), duration: 6000 });
}

/** Do it, say how it went; true when it went well. */
export async function attempt(act: () => Promise<unknown>, told?: string): Promise<boolean> {
  try {
    await act();
    if (told) done(told);
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}
