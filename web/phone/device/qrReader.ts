// Reads QR codes from the camera or a photo: with the browser's BarcodeDetector where there is one, else with a small
// decoder that is loaded on demand. WeChat's browser, Firefox and phones without Google's services have none.
type Source = HTMLVideoElement | ImageBitmap;

/** Resolve to the text of the QR code in this picture; null when none is found. */
export type QrReader = (source: Source) => Promise<string | null>;

interface Detector {
  detect(source: Source): Promise<{ rawValue: string }[]>;
}
declare const BarcodeDetector: {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
};

// At 640 px a code across a third of the picture has three pixels per module; more is slow on an old phone.
const SCAN_SIZES_PX = [640, 1280];

let reader: Promise<QrReader> | null = null;

export function openQrReader(): Promise<QrReader> {
  reader ??= createNativeReader().then((native) => native ?? loadFallbackReader());
  // The decoder could not be loaded just now: it is tried again the next time.
  reader.catch(() => (reader = null));
  return reader;
}

/** Resolve to the text of the QR code in a photo; null when there is none or it can't be read here. */
export async function readQrFromPhoto(file: Blob): Promise<string | null> {
  const read = await openQrReader().catch(() => null);
  if (!read) return null;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return null;
  try {
    return await read(picture);
  } finally {
    picture.close();
  }
}

async function createNativeReader(): Promise<QrReader | null> {
  if (!('BarcodeDetector' in globalThis)) return null;
  // On Android the detector is part of Google's services, which many phones in China lack.
  if (!(await BarcodeDetector.getSupportedFormats().catch((): string[] => [])).includes('qr_code')) return null;
  const detector = new BarcodeDetector({ formats: ['qr_code'] });
  return async (source) => (await detector.detect(source).catch(() => []))[0]?.rawValue ?? null;
}

async function loadFallbackReader(): Promise<QrReader> {
  const { decodeQR } = await import('qr/decode.js');
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  return (source) => {
    // A video frame is followed by the next one; a photo is tried at a second size, for a small code.
    for (const sizePx of source instanceof HTMLVideoElement ? SCAN_SIZES_PX.slice(0, 1) : SCAN_SIZES_PX) {
      try {
        return Promise.resolve(decodeQR(draw(source, sizePx)));
      } catch {
        // No code found.
      }
    }
    return Promise.resolve(null);
  };

  function draw(source: Source, maxSizePx: number): ImageData {
    const [width, height] =
      source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
    const scale = Math.min(1, maxSizePx / Math.max(width, height));
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  }
}
