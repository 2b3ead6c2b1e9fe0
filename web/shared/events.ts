// Server-sent events over `fetch`, since EventSource cannot send a token. Reconnects by itself.
import { authorizedFetch } from './api/client.ts';

const RECONNECT_MS = 3000;

interface Options {
  onOpen?: () => void;
  /** As whom, where the signed-in person may have changed. */
  personId?: string;
  reconnectMs?: number;
}

/** Call `onEvent` with the data of each event of that name; returns a function that unsubscribes. */
export function subscribeToEvents(
  path: string,
  name: string,
  onEvent: (data: unknown) => void,
  options: Options = {},
): () => void {
  const stop = new AbortController();
  void (async () => {
    while (!stop.signal.aborted) {
      try {
        await readEvents(path, name, onEvent, stop.signal, options);
      } catch {
        // No network or a broken connection: retried below.
      }
      await new Promise((resolve) => setTimeout(resolve, options.reconnectMs ?? RECONNECT_MS));
    }
  })();
  return () => stop.abort();
}

async function readEvents(
  path: string,
  name: string,
  onEvent: (data: unknown) => void,
  signal: AbortSignal,
  { onOpen, personId }: Options,
): Promise<void> {
  const response = await authorizedFetch(
    location.origin + path,
    { signal, headers: { Accept: 'text/event-stream' } },
    personId,
  );
  if (!response.ok || !response.body) return;
  onOpen?.();
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let buffer = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += decoder.decode(value, { stream: true });
    const events = buffer.split('\n\n');
    buffer = events.pop()!;
    for (const event of events) {
      const lines = event.split('\n');
      if (lines.some((line) => line === `event: ${name}`)) {
        const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
        onEvent(JSON.parse(data.join('\n')));
      }
    }
  }
}
