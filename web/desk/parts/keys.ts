// Keys of a screen: one letter each, never while someone types, and shown where they act.
import { onBeforeUnmount, onMounted } from 'vue';

export type Keys = Record<string, (event: KeyboardEvent) => void>;

export function useKeys(keys: Keys): void {
  const hear = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    const at = event.target;
    if (at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName))) return;
    if (document.querySelector('dialog[open]') && !(at instanceof HTMLElement && at.closest('dialog'))) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act(event);
  };
  onMounted(() => addEventListener('keydown', hear));
  onBeforeUnmount(() => removeEventListener('keydown', hear));
}
