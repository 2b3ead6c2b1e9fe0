// Send a file to be read. The last file stays in memory, so that its headings can be chosen without choosing it again.
import { unwrap, api } from '@shared/api/client.ts';
import type { components } from '@shared/api/wire.d.ts';

export type ImportSummary = components['schemas']['ImportSummary'];
export interface ImportUpload {
  id: string;
  kind: string;
  area: string;
  file: File;
  /** Our column key → the heading of the file; without it the server uses that of the area's last file. */
  mapping?: Record<string, string>;
}
let last: ImportUpload | null = null;

export function findLastFile(id: string): File | null {
  return last?.id === id ? last.file : null;
}

export async function uploadImport(upload: ImportUpload): Promise<ImportSummary> {
  const form = new FormData();
  for (const key of ['id', 'kind', 'area'] as const) form.set(key, upload[key]);
  form.set('file', upload.file);
  if (upload.mapping) form.set('mapping', JSON.stringify(upload.mapping));
  last = upload;
  return unwrap(
    api.POST('/desk/v1/imports', { body: form as never, bodySerializer: (body: unknown) => body as FormData }),
  );
}
