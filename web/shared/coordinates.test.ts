import { expect, test } from 'vitest';
import { metersBetween, toGcj02, toWgs84 } from './coordinates.ts';

// Vectors as longitude, latitude; the server's tests use the same.
const VECTORS: [wgs: [number, number], gcj: [number, number]][] = [
  [
    [116.404, 39.915],
    [116.41024449916938, 39.91640428150164],
  ],
  [
    [121.5272106, 31.1774276],
    [121.531541859215, 31.17530398364597],
  ],
  [
    [113.912316, 22.543847],
    [113.9171764808363, 22.540796131694766],
  ],
];
const place = ([longitude, latitude]: [number, number]) => ({ latitude, longitude });

test('WGS-84 converts to GCJ-02 as in the vectors', () => {
  for (const [wgs, gcj] of VECTORS) expect(metersBetween(toGcj02(place(wgs)), place(gcj))).toBeLessThan(0.01);
});

test('the inverse returns to the original', () => {
  for (const [wgs, gcj] of VECTORS) expect(metersBetween(toWgs84(place(gcj), 'gcj02'), place(wgs))).toBeLessThan(0.01);
  expect(toWgs84(place([116.404, 39.915]), 'gcj02').longitude).toBeCloseTo(116.3977557546871, 8);
});

test('outside China GCJ-02 equals WGS-84', () => {
  expect(toGcj02({ latitude: 43.46, longitude: 11.88 })).toEqual({ latitude: 43.46, longitude: 11.88 });
});
