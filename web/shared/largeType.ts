// Large-type mode: everything is sized in rem, so one class on the root is all it takes.
import { ref, watchEffect } from 'vue';

const KEY = 'zoufang.largeType';
export const largeType = ref(localStorage.getItem(KEY) === '1');

watchEffect(() => {
  document.documentElement.classList.toggle('large-type', largeType.value);
  localStorage.setItem(KEY, largeType.value ? '1' : '0');
});
