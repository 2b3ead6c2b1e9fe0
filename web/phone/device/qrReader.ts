// Reads QR codes from the camera's picture or a photo: by the browser's own reader where it has one, else by a small
// decoder that is fetched only then. WeChat's browser, Firefox and phones without Google's services have none.
type Source = HTMLVideoElement | ImageBitmap;

/** What the code in this picture says; null where none is seen. */
export type QrReader = (source: Source) => Promise<string | null>;

interface Detector {
  detect(source: Source): Promise<{ rawValue: string }[]>;
}
declare const BarcodeDetector: {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
};

// A code across a third of the picture still has three dots to a module; more would only be slow on an old phone.
const LONGEST_PX = [640, 1280];

let reader: Promise<QrReader> | null = null;

export function openReader(): Promise<QrReader> {
  return (reader ??= ownReader().then((own) => own ?? fetchedReader()));
}

/** The code in a photo. */
export async function readPhoto(file: Blob): Promise<string | null> {
  const read = await openReader();
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return null;
  try {
    return await read(picture);
  } finally {
    picture.close();
  }
}

async function ownReader(): Promise<QrReader | null> {
  if (!('BarcodeDetector' in globalThis)) return null;
  // On Android the reader is a part of Google's services, which many phones in China come without.
  if (!(await BarcodeDetector.getSupportedFormats().catch((): string[] => [])).includes('qr_code')) return null;
  const detector = new BarcodeDetector({ formats: ['qr_code'] });
  return async (source) => (await detector.detect(source).catch(() => []))[0]?.rawValue ?? null;
}

async function fetchedReader(): Promise<QrReader> {
  const { decodeQR } = await import('qr/decode.js');
  const canvas = document.createElement('canvas');
  const pen = canvas.getContext('2d', { willReadFrequently: true })!;
  return (source) => {
    // A video is looked at again in a moment; a photo is looked at twice, for a code that is small in it.
    for (const longest of source instanceof HTMLVideoElement ? LONGEST_PX.slice(0, 1) : LONGEST_PX) {
      try {
        return Promise.resolve(decodeQR(draw(source, longest)));
      } catch {
        // no code seen
      }
    }
    return Promise.resolve(null);
  };

  function draw(source: Source, longestPx: number): ImageData {
    const [width, height] =
      source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
    const scale = Math.min(1, longestPx / Math.max(width, height));
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    pen.drawImage(source, 0, 0, canvas.width, canvas.height);
    return pen.getImageData(0, 0, canvas.width, canvas.height);
  }
}
