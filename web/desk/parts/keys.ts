// Keys of a screen: one letter each, never while someone types, and shown where they act. An act that answers false
// had no use for its key, which others may hear then.
import { onBeforeUnmount, onMounted } from 'vue';

export type Keys = Record<string, (event: KeyboardEvent) => unknown>;

export function useKeys(keys: Keys): void {
  const hear = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    const at = event.target;
    if (at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName))) return;
    if (document.querySelector('dialog[open]') && !(at instanceof HTMLElement && at.closest('dialog'))) return;
    const act = keys[event.key];
    if (!act) return;
    if (act(event) !== false) event.preventDefault();
  };
  onMounted(() => addEventListener('keydown', hear));
  onBeforeUnmount(() => removeEventListener('keydown', hear));
}
