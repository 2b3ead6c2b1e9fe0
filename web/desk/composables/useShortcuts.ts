// Keyboard shortcuts of a component: single keys, ignored while someone types. A handler that returns false leaves the
// key to other components.
import { onBeforeUnmount, onMounted } from 'vue';

export type Shortcuts = Record<string, (event: KeyboardEvent) => unknown>;

export function useShortcuts(shortcuts: Shortcuts): void {
  const handleKeydown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    const target = event.target;
    if (target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)))
      return;
    if (document.querySelector('dialog[open]') && !(target instanceof HTMLElement && target.closest('dialog'))) return;
    const handler = shortcuts[event.key];
    if (!handler) return;
    if (handler(event) !== false) event.preventDefault();
  };
  onMounted(() => addEventListener('keydown', handleKeydown));
  onBeforeUnmount(() => removeEventListener('keydown', handleKeydown));
}
