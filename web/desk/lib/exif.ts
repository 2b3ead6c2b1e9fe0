// Read capture time and position from the EXIF of a JPEG (CIPA DC-008), to fill in a form.
export interface Capture {
  latitude: number;
  longitude: number;
  /** RFC 3339; null when the photo has no time. */
  at: string | null;
}

type Entry = { type: number; count: number; at: number };
const SIZES: Record<number, number> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8 };

/** Return null for a file that is no JPEG or has no position. */
export function readCapture(content: ArrayBuffer): Capture | null {
  try {
    const tiff = findTiff(new DataView(content));
    return tiff && readTiff(tiff);
  } catch (error) {
    if (error instanceof RangeError) return null; // an offset points outside the file
    throw error;
  }
}

function findTiff(view: DataView): DataView | null {
  if (view.byteLength < 4 || view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; at + 4 <= view.byteLength && view.getUint8(at) === 0xff;) {
    const [marker, length] = [view.getUint8(at + 1), view.getUint16(at + 2)];
    if (marker === 0xda) return null;
    if (marker === 0xe1 && view.getUint32(at + 4) === 0x45786966) return new DataView(view.buffer, at + 10, length - 8);
    at += 2 + length;
  }
  return null;
}

function readTiff(view: DataView): Capture | null {
  const little = view.getUint16(0) === 0x4949;
  const readEntries = (at: number): Map<number, Entry> => {
    const found = new Map<number, Entry>();
    for (let n = 0; n < view.getUint16(at, little); n++) {
      const place = at + 2 + 12 * n;
      const [type, count] = [view.getUint16(place + 2, little), view.getUint32(place + 4, little)];
      const inline = (SIZES[type] ?? 1) * count <= 4;
      found.set(view.getUint16(place, little), {
        type,
        count,
        at: inline ? place + 8 : view.getUint32(place + 8, little),
      });
    }
    return found;
  };
  const readDirectory = (directory: Map<number, Entry>, tag: number): Map<number, Entry> => {
    const entry = directory.get(tag);
    return entry ? readEntries(view.getUint32(entry.at, little)) : new Map<number, Entry>();
  };
  const readText = (entry: Entry | undefined): string => {
    let text = '';
    for (let n = 0; entry && n < entry.count; n++) text += String.fromCharCode(view.getUint8(entry.at + n));
    return text.replace(/\0.*$/, '').trim();
  };
  const readDegrees = (entry: Entry, ref: string): number => {
    const readRational = (n: number): number =>
      view.getUint32(entry.at + 8 * n, little) / view.getUint32(entry.at + 8 * n + 4, little);
    const value = readRational(0) + readRational(1) / 60 + readRational(2) / 3600;
    return 'SW'.includes(ref) && ref ? -value : value;
  };
  const first = readEntries(view.getUint32(4, little));
  const [gps, exif] = [readDirectory(first, 0x8825), readDirectory(first, 0x8769)];
  const [north, east] = [gps.get(2), gps.get(4)];
  if (!north || !east) return null;
  const [latitude, longitude] = [readDegrees(north, readText(gps.get(1))), readDegrees(east, readText(gps.get(3)))];
  if (!Number.isFinite(latitude) || !Number.isFinite(longitude)) return null;
  return { latitude, longitude, at: formatTimestamp(readText(exif.get(0x9003)), readText(exif.get(0x9011))) };
}

/** Join “2026:11:24 09:30:00” and “+08:00”. Without an offset China's is assumed. */
function formatTimestamp(text: string, offset: string): string | null {
  const match = /^(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)$/.exec(text);
  if (!match) return null;
  return `${match[1]}-${match[2]}-${match[3]}T${match[4]}${/^[+-]\d\d:\d\d$/.test(offset) ? offset : '+08:00'}`;
}
