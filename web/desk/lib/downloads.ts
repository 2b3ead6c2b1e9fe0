// Download files from the API with the person's token, or open signed links.
import { authorizedFetch } from '@shared/api/client.ts';
import { readProblem } from '@shared/api/problems.ts';
import { showError } from './messages.ts';

export async function downloadFile(
  path: string,
  name: string,
  filters: Record<string, string | number | boolean | null | undefined> = {},
): Promise<void> {
  try {
    const params = new URLSearchParams();
    for (const [key, value] of Object.entries(filters)) if (value) params.set(key, String(value));
    const url = URL.createObjectURL(await fetchFile(String(params) ? `${path}?${params}` : path));
    const getLink = Object.assign(document.createElement('a'), { href: url, download: name });
    getLink.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    showError(error);
  }
}

/** Open a short-lived link in a new window: opened before the request, since later it would be blocked as a pop-up. */
export async function openSignedLink(getLink: () => Promise<{ url: string }>): Promise<void> {
  const newWindow = window.open('', '_blank');
  try {
    const { url } = await getLink();
    if (newWindow) newWindow.location.href = url;
  } catch (error) {
    newWindow?.close();
    showError(error);
  }
}

async function fetchFile(path: string): Promise<Blob> {
  const response = await authorizedFetch(location.origin + path);
  if (!response.ok) throw await readProblem(response);
  return response.blob();
}
