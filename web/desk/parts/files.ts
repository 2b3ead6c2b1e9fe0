// Files that the API gives: fetched with the person's own token, then saved or opened.
import { authorizedFetch } from '@shared/api/client.ts';
import { readProblem } from '@shared/api/problems.ts';
import { failed } from './say.ts';

export async function saveFile(
  path: string,
  name: string,
  asked: Record<string, string | number | boolean | null | undefined> = {},
): Promise<void> {
  try {
    const words = new URLSearchParams();
    for (const [key, value] of Object.entries(asked)) if (value) words.set(key, String(value));
    const url = URL.createObjectURL(await fetchFile(String(words) ? `${path}?${words}` : path));
    const link = Object.assign(document.createElement('a'), { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    failed(error);
  }
}

/** A link of minutes, in a window of its own; opened at once, since one that opens after an answer counts as a pop-up. */
export async function openLink(link: () => Promise<{ url: string }>): Promise<void> {
  const opened = window.open('', '_blank');
  try {
    const { url } = await link();
    if (opened) opened.location.href = url;
  } catch (error) {
    opened?.close();
    failed(error);
  }
}

async function fetchFile(path: string): Promise<Blob> {
  const answer = await authorizedFetch(location.origin + path);
  if (!answer.ok) throw await readProblem(answer);
  return answer.blob();
}
