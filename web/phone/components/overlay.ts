// What lies over a screen (an enlarged photo, a signature) is a step of the browser's history, so that Android's back
// closes it and not the screen.
import { ref, watch, type Ref } from 'vue';
import { useRoute, useRouter } from 'vue-router';

/** `name` is unique on its screen. What is shown closes when history goes back, and takes its step with it. */
export function useOverlay(name: string): { isOpen: Ref<boolean>; open: () => void; close: () => void } {
  const route = useRoute();
  const router = useRouter();
  const isOpen = ref(false);
  const hash = `#${name}`;
  watch(
    () => route.hash,
    (now) => {
      if (now !== hash) isOpen.value = false;
    },
  );
  return {
    isOpen,
    open: () => {
      isOpen.value = true;
      void router.push({ ...route, hash } as never);
    },
    close: () => {
      isOpen.value = false;
      if (route.hash === hash) router.back();
    },
  };
}
