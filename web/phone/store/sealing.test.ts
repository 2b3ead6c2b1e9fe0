import { expect, test } from 'vitest';
import { drawBytes, importDataKey, sealJson, unsealBlob, unsealJson, sealBlob } from './sealing.ts';

const PLACE = 'drafts/1';

test('what was sealed opens at its place by its key alone, and not once it was altered', async () => {
  const [key, other] = [await importDataKey(drawBytes(32)), await importDataKey(drawBytes(32))];
  const sealed = await sealJson(key, PLACE, { opinion: '屋里没有人答话。' });
  expect(await unsealJson(key, PLACE, sealed)).toEqual({ opinion: '屋里没有人答话。' });
  expect(await sealJson(key, PLACE, {})).not.toEqual(await sealJson(key, PLACE, {}));
  await expect(unsealJson(key, 'drafts/2', sealed)).rejects.toThrow();
  await expect(unsealJson(other, PLACE, sealed)).rejects.toThrow();
  sealed[20]! ^= 1;
  await expect(unsealJson(key, PLACE, sealed)).rejects.toThrow();
});

test('a picture is sealed once, and one in clear is read as it is', async () => {
  const key = await importDataKey(drawBytes(32));
  const picture = new Blob(['\u{1F3E0}'], { type: 'image/jpeg' });
  const sealed = await sealBlob(key, PLACE, picture);
  expect(await sealBlob(key, PLACE, sealed)).toBe(sealed);
  expect(await sealed.text()).not.toContain('\u{1F3E0}');
  const opened = await unsealBlob(key, PLACE, sealed, 'image/jpeg');
  expect([await opened.text(), opened.type]).toEqual(['\u{1F3E0}', 'image/jpeg']);
  expect(await unsealBlob(key, PLACE, picture, 'image/jpeg')).toBe(picture);
});
