// Short messages at the top of the screen after an action. An open dialog is in the top layer, so they move into it.
import { describeError } from './errors.ts';

const stack = Object.assign(document.createElement('div'), { id: 'messages' });

export function showSuccess(text: string): void {
  showMessage(text, 'good', 'status', 3000);
}

export function showError(error: unknown): void {
  showMessage(describeError(error), 'bad', 'alert', 6000);
}

/** Run an action and show its result; return true on success. */
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

/** Move the messages into the topmost open dialog, or back to the page. Call when a dialog opens or closes. */
export function raiseMessages(closing?: Element): void {
  const open = [...document.querySelectorAll('dialog[open]')].filter((dialog) => dialog !== closing);
  (open[open.length - 1] ?? document.body).append(stack);
}

function showMessage(text: string, kind: 'good' | 'bad', role: string, forMs: number): void {
  const note = Object.assign(document.createElement('p'), { className: kind, textContent: text });
  note.setAttribute('role', role);
  raiseMessages();
  stack.replaceChildren(note); // only the latest message is shown
  setTimeout(() => note.remove(), forMs);
}
