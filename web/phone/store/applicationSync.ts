// Sends applications made at the door, each until the server has answered, and asks what became of those that the town
// holds. ID numbers leave the phone's store with the answer.
import { openApiFor, unwrap } from '@shared/api/client.ts';
import { Problem } from '@shared/api/problems.ts';
import { localDatabase, putApplication, type Application, type LocalDatabase } from './localDatabase.ts';

const INTERVAL_MS = 60_000;

let running: Promise<void> | null = null;
let pulledAt = 0;

/** Shows on the screen how a request ended. */
type Track = <T>(request: Promise<T>) => Promise<T>;

/** One run at a time: an application is not sent twice side by side. Without anything to send or to ask, no request. */
export function syncApplications(track: Track): Promise<void> {
  running ??= sendAndAsk(track).finally(() => (running = null));
  return running;
}

async function sendAndAsk(track: Track): Promise<void> {
  const local = localDatabase(); // also when another person's store is opened meanwhile
  for (const application of await local.applications.where('state').equals('waiting').toArray()) {
    await putApplication(local, await track(send(local, application)));
  }
  if (Date.now() - pulledAt < INTERVAL_MS || !(await local.applications.where('state').equals('held').count())) return;
  await track(askForHeld(local));
  pulledAt = Date.now();
}

/** The application as the server answered; also as it refused it, which is an answer. */
async function send(local: LocalDatabase, application: Application): Promise<Application> {
  try {
    const answer = await unwrap(
      openApiFor(local.ownerId).POST('/field/v1/door-applications', { body: application.body! }),
    );
    const { state, number, zh, en, reason } = answer;
    const outcome = { zh, en, reason: reason ?? '' };
    return { ...application, state, number, outcome, form: null, body: null };
  } catch (error) {
    if (!(error instanceof Problem && error.isFinal)) throw error; // sent again with the next sync
    const outcome = { zh: error.sentence, en: error.sentence, reason: '' };
    return { ...application, state: 'refused', outcome };
  }
}

async function askForHeld(local: LocalDatabase): Promise<void> {
  for (const { id, state, zh, en, reason } of await unwrap(
    openApiFor(local.ownerId).GET('/field/v1/door-applications'),
  )) {
    const held = await local.applications.get(id);
    if (held?.state !== 'held') continue;
    await putApplication(local, { ...held, state, outcome: { zh, en, reason: reason ?? '' } });
  }
}
