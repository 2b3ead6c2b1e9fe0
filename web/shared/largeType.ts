// Large-type mode: all sizes are in rem, so a class on the root element is enough.
import { ref, watchEffect } from 'vue';

const KEY = 'zoufang.largeType';
export const largeType = ref(localStorage.getItem(KEY) === '1');

watchEffect(() => {
  document.documentElement.classList.toggle('large-type', largeType.value);
  localStorage.setItem(KEY, largeType.value ? '1' : '0');
});
