// Converts coordinates between datums: GCJ-02 or BD-09 of a phone to WGS-84, and WGS-84 to GCJ-02 for map tiles. The
// inverse of GCJ-02 is found by iteration, since a single step errs by metres.
export interface Coordinates {
  latitude: number;
  longitude: number;
}
export type Datum = 'wgs84' | 'gcj02' | 'bd09';

const A = 6378245.0;
const EE = 0.006693421622965943;
const BD = (Math.PI * 3000) / 180;

export function toWgs84(position: Coordinates, datum: string): Coordinates {
  if (datum === 'bd09') return fromGcj02(bd09ToGcj02(position));
  return datum === 'gcj02' ? fromGcj02(position) : position;
}

export function toGcj02({ latitude, longitude }: Coordinates): Coordinates {
  if (longitude < 73.66 || longitude > 135.05 || latitude < 3.86 || latitude > 53.55) return { latitude, longitude };
  const x = longitude - 105;
  const y = latitude - 35;
  const radians = (latitude / 180) * Math.PI;
  const magic = 1 - EE * Math.sin(radians) ** 2;
  const root = Math.sqrt(magic);
  const north = (northing(x, y) * 180) / (((A * (1 - EE)) / (magic * root)) * Math.PI);
  const east = (easting(x, y) * 180) / ((A / root) * Math.cos(radians) * Math.PI);
  return { latitude: latitude + north, longitude: longitude + east };
}

/** Great-circle distance in metres between two positions of the same datum. */
export function metersBetween(from: Coordinates, to: Coordinates): number {
  const rad = Math.PI / 180;
  const half =
    Math.sin(((to.latitude - from.latitude) * rad) / 2) ** 2 +
    Math.cos(from.latitude * rad) *
      Math.cos(to.latitude * rad) *
      Math.sin(((to.longitude - from.longitude) * rad) / 2) ** 2;
  return 2 * 6371008.8 * Math.asin(Math.sqrt(Math.min(1, half)));
}

function fromGcj02(position: Coordinates): Coordinates {
  let estimate = position;
  for (let round = 0; round < 10; round++) {
    const projected = toGcj02(estimate);
    estimate = {
      latitude: estimate.latitude - (projected.latitude - position.latitude),
      longitude: estimate.longitude - (projected.longitude - position.longitude),
    };
  }
  return estimate;
}

function bd09ToGcj02({ latitude, longitude }: Coordinates): Coordinates {
  const x = longitude - 0.0065;
  const y = latitude - 0.006;
  const z = Math.sqrt(x * x + y * y) - 0.00002 * Math.sin(y * BD);
  const angle = Math.atan2(y, x) - 0.000003 * Math.cos(x * BD);
  return { latitude: z * Math.sin(angle), longitude: z * Math.cos(angle) };
}

function northing(x: number, y: number): number {
  const first = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * Math.sqrt(Math.abs(x));
  return first + waves(x, 20, 6, 20, 2) + waves(y, 20, 1, 40, 1 / 3) + waves(y, 160, 1 / 12, 320, 1 / 30);
}

function easting(x: number, y: number): number {
  const first = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * Math.sqrt(Math.abs(x));
  return first + waves(x, 20, 6, 20, 2) + waves(x, 20, 1, 40, 1 / 3) + waves(x, 150, 1 / 12, 300, 1 / 30);
}

function waves(at: number, height: number, rate: number, otherHeight: number, otherRate: number): number {
  return ((height * Math.sin(rate * at * Math.PI) + otherHeight * Math.sin(otherRate * at * Math.PI)) * 2) / 3;
}
