/** The page of a one-time link, which needs no sign-in: App.vue shows it without menu. */
export const SET_PASSWORD = '/set-password';
