import { expect, test } from 'vitest';
import { toGcj02 } from '@shared/coordinates.ts';
import { listMapLinks } from './mapLinks.ts';

const PLACE = { latitude: 28.903734, longitude: 118.887809 };

test('every map gets the position in the datum that its link names', () => {
  const { latitude, longitude } = toGcj02(PLACE);
  const [lat, lng] = [latitude.toFixed(6), longitude.toFixed(6)];
  const [amap, tencent, baidu] = listMapLinks(PLACE, 'wgs84').map((link) => link.url);
  expect(amap).toContain(`position=${lng},${lat}&`);
  expect(amap).toContain('coordinate=gaode');
  expect(tencent).toContain(`coord:${lat},${lng};`);
  expect(baidu).toContain(`location=${lat},${lng}&`);
  expect(baidu).toContain('coord_type=gcj02');
  expect(lat).not.toBe(PLACE.latitude.toFixed(6));
});

test('a place that is registered in GCJ-02 is not moved again', () => {
  expect(listMapLinks(PLACE, 'gcj02')[0]!.url).toContain('position=118.887809,28.903734&');
});

test('a place of Baidu is brought back first', () => {
  const [lng, lat] = /position=([\d.]+),([\d.]+)/.exec(listMapLinks(PLACE, 'bd09')[0]!.url)!.slice(1).map(Number);
  expect(PLACE.longitude - lng!).toBeCloseTo(0.0065, 3);
  expect(PLACE.latitude - lat!).toBeCloseTo(0.006, 3);
});
