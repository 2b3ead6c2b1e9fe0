// A short word after an act, at the top of the screen; over a dialog that is open, which lies above all else.
import { describeError } from './errors.ts';

const stack = Object.assign(document.createElement('div'), { id: 'messages' });

export function showSuccess(text: string): void {
  showMessage(text, 'good', 'status', 3000);
}

export function showError(error: unknown): void {
  showMessage(describeError(error), 'bad', 'alert', 6000);
}

/** Do it, say how it went; true when it went well. */
export async function attempt(action: () => Promise<unknown>, success?: string): Promise<boolean> {
  try {
    await action();
    if (success) showSuccess(success);
    return true;
  } catch (error) {
    showError(error);
    return false;
  }
}

/** Called when a dialog opens or goes, so that what was said stays to be read. */
export function raiseMessages(closing?: Element): void {
  const open = [...document.querySelectorAll('dialog[open]')].filter((dialog) => dialog !== closing);
  (open[open.length - 1] ?? document.body).append(stack);
}

function showMessage(text: string, kind: 'good' | 'bad', role: string, forMs: number): void {
  const note = Object.assign(document.createElement('p'), { className: kind, textContent: text });
  note.setAttribute('role', role);
  raiseMessages();
  stack.replaceChildren(note); // the last word is enough
  setTimeout(() => note.remove(), forMs);
}
