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
    saveFile(await fetchFile(String(params) ? `${path}?${params}` : path), name);
  } catch (error) {
    showError(error);
  }
}

/** Post to a route that makes a file once, and save what it answers. Return whether it did. */
export async function postForFile(path: string, name: string, body?: object): Promise<boolean> {
  try {
    saveFile(await fetchFile(path, 'POST', body), name);
    return true;
  } catch (error) {
    showError(error);
    return false;
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

function saveFile(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const getLink = Object.assign(document.createElement('a'), { href: url, download: name });
  getLink.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function fetchFile(path: string, method = 'GET', body?: object): Promise<Blob> {
  const response = await authorizedFetch(location.origin + path, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
  });
  if (!response.ok) throw await readProblem(response);
  return response.blob();
}
