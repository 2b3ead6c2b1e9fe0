// Server-sent events over `fetch`, since EventSource can't carry a token. Comes back by itself after a break.
import { authorizedFetch } from './api/client.ts';

const AGAIN_MS = 3000;

/** Calls `heard` with the data of each event of that name; the function returned stops it. */
export function subscribeToEvents(
  path: string,
  name: string,
  heard: (data: unknown) => void,
  opened?: () => void,
): () => void {
  const stop = new AbortController();
  void (async () => {
    while (!stop.signal.aborted) {
      try {
        await readEvents(path, name, heard, stop.signal, opened);
      } catch {
        // No network, or the line was cut: tried again below.
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  })();
  return () => stop.abort();
}

async function readEvents(
  path: string,
  name: string,
  heard: (data: unknown) => void,
  signal: AbortSignal,
  opened?: () => void,
): Promise<void> {
  const answer = await authorizedFetch(location.origin + path, { signal, headers: { Accept: 'text/event-stream' } });
  if (!answer.ok || !answer.body) return;
  opened?.();
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const events = rest.split('\n\n');
    rest = events.pop()!;
    for (const one of events) {
      const lines = one.split('\n');
      if (lines.some((line) => line === `event: ${name}`)) {
        const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
        heard(JSON.parse(data.join('\n')));
      }
    }
  }
}
