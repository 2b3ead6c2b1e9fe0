// A short word after an act, at the top of the screen; over a dialog that is open, which lies above all else.
import { sentence } from './load.ts';

const stack = Object.assign(document.createElement('div'), { id: 'told' });

export function done(text: string): void {
  tell(text, 'good', 'status', 3000);
}

export function failed(error: unknown): void {
  tell(sentence(error), 'bad', 'alert', 6000);
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

/** Called when a dialog opens or goes, so that what was said stays to be read. */
export function keepOnTop(closing?: Element): void {
  const open = [...document.querySelectorAll('dialog[open]')].filter((one) => one !== closing);
  (open[open.length - 1] ?? document.body).append(stack);
}

function tell(text: string, kind: 'good' | 'bad', role: string, forMs: number): void {
  const note = Object.assign(document.createElement('p'), { className: kind, textContent: text });
  note.setAttribute('role', role);
  keepOnTop();
  stack.replaceChildren(note); // the last word is enough
  setTimeout(() => note.remove(), forMs);
}
