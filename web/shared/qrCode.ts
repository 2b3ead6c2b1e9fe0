// The sign-in code that WeChat's scanner opened this page with (`…/confirm#code`). Import it before the router: the code
// leaves the address at once, and outlives a sign-in that leads through WeChat.
const KEY = 'zoufang.qr';
const CODE = /^#([\w-]{20,60})$/;

const found = location.pathname.endsWith('/confirm') && CODE.exec(location.hash)?.[1];
if (found) {
  sessionStorage.setItem(KEY, found);
  history.replaceState(null, '', location.pathname);
}

export const scannedQrCode = (): string => sessionStorage.getItem(KEY) ?? '';

export function forgetQrCode(): void {
  sessionStorage.removeItem(KEY);
}
