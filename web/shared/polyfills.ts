// Polyfills for Chrome 80 (WeChat's browser on an old phone): functions that this code or its libraries use.
if (!('at' in Array.prototype)) {
  const at = function <T>(this: ArrayLike<T>, index: number): T | undefined {
    return this[index < 0 ? this.length + index : index];
  };
  for (const kind of [Array.prototype, String.prototype, Uint8Array.prototype]) {
    Object.defineProperty(kind, 'at', { value: at, writable: true, configurable: true });
  }
}
Object.hasOwn ??= (object: object, key: PropertyKey): boolean => Object.prototype.hasOwnProperty.call(object, key);
if (!('replaceAll' in String.prototype)) {
  Object.defineProperty(String.prototype, 'replaceAll', {
    value(this: string, from: string, to: string): string {
      return this.split(from).join(to);
    },
    writable: true,
    configurable: true,
  });
}
if (typeof crypto.randomUUID !== 'function') {
  Object.defineProperty(crypto, 'randomUUID', {
    value(): string {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      bytes[6] = (bytes[6]! & 0x0f) | 0x40;
      bytes[8] = (bytes[8]! & 0x3f) | 0x80;
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    },
  });
}
(globalThis as { structuredClone?: unknown }).structuredClone ??= (value: unknown): unknown =>
  value === undefined ? undefined : JSON.parse(JSON.stringify(value));
export {};
