// Upload the photo of a paper: shrink it for slow networks, announce its hash, send the bytes.
import { api, unwrap, authorizedFetch } from '@shared/api/client.ts';
import { readProblem } from '@shared/api/problems.ts';
import { newId, sha256Hex } from '@shared/ids.ts';

const LONGEST_SIDE_PX = 2000;
const QUALITY = 0.85;

export async function uploadPaperPhoto(
  caseId: string,
  code: string,
  picture: File,
  of: 'papers' | 'proofs' = 'papers',
): Promise<void> {
  const photo = await shrink(picture);
  const id = newId();
  const body = { id, sha256: await sha256Hex(photo), sizeBytes: photo.size };
  const params = { path: { case_id: caseId, code } };
  await (of === 'papers'
    ? unwrap(api.POST('/resident/v1/cases/{case_id}/papers/{code}/photos', { params, body }))
    : unwrap(api.POST('/resident/v1/cases/{case_id}/proofs/{code}/photos', { params, body })));
  const form = new FormData();
  form.set('evidenceId', id);
  form.set('file', photo, 'paper.jpg');
  const response = await authorizedFetch(`${location.origin}/field/v1/photos`, { method: 'POST', body: form });
  if (!response.ok) throw await readProblem(response);
}

/** Return a JPEG whose longest side is still legible, or the file itself when this browser can't decode it. */
async function shrink(picture: File): Promise<Blob> {
  const url = URL.createObjectURL(picture);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(image.naturalWidth, image.naturalHeight));
    if (scale === 1 && picture.type === 'image/jpeg') return picture;
    const canvas = document.createElement('canvas');
    canvas.width = Math.round(image.naturalWidth * scale);
    canvas.height = Math.round(image.naturalHeight * scale);
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise<Blob>((resolve) =>
      canvas.toBlob((blob) => resolve(blob ?? picture), 'image/jpeg', QUALITY),
    );
  } catch {
    return picture;
  } finally {
    URL.revokeObjectURL(url);
  }
}
