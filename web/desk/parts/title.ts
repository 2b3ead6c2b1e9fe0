// What the open page is about, for the tab: a household's name. Empty: the screen's own name is enough.
import { ref, watchEffect } from 'vue';

export const title = ref('');

export function useTitle(name: () => string | undefined): void {
  watchEffect(() => {
    const found = name();
    if (found) title.value = found;
  });
}
