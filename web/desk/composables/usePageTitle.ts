// Title of the browser tab, for example a household's name. Empty: the screen's own name is used.
import { ref, watchEffect } from 'vue';

export const pageTitle = ref('');

export function usePageTitle(getTitle: () => string | undefined): void {
  watchEffect(() => {
    const title = getTitle();
    if (title) pageTitle.value = title;
  });
}
