// IDs as the server expects them, UUIDv7, from WeChat's random source (a mini-program has no `crypto`).
export type Random = Pick<WechatMiniprogram.Wx, 'getRandomValues'>;

export async function newId(wx: Random, now: number = Date.now()): Promise<string> {
  const { randomValues } = await wx.getRandomValues({ length: 16 });
  const bytes = new Uint8Array(randomValues);
  for (let position = 5, rest = now; position >= 0; position--, rest = Math.floor(rest / 256))
    bytes[position] = rest % 256;
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
