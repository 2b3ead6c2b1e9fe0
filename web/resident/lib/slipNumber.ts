// The application number of the QR code on a slip, `/r/#YQ2026-000123`, kept in this tab while WeChat asks for consent.
const KEY = 'zoufang.resident.slipNumber';

/** Take the number out of the address, and return it or the one that was taken before. */
export function takeSlipNumber(): string {
  const number = decodeURIComponent(location.hash.slice(1));
  if (/^[\w-]{4,40}$/.test(number)) {
    sessionStorage.setItem(KEY, number);
    history.replaceState(history.state, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY) ?? '';
}
