// Sends applications made at the door, each until the server has answered, and asks what became of those that the town
// holds. ID numbers leave the phone's store with the answer.
import { openApiFor, unwrap } from '@shared/api/client.ts';
import { Problem } from '@shared/api/problems.ts';
import { localDatabase, putApplication, type Application, type LocalDatabase } from './localDatabase.ts';

const INTERVAL_MS = 60_000;

let running: Promise<void> | null = null;
let pulledAt = 0;

/** One run at a time: an application is not sent twice side by side. */
export function syncApplications(): Promise<void> {
  running ??= sendAndAsk().finally(() => (running = null));
  return running;
}

async function sendAndAsk(): Promise<void> {
  const local = localDatabase(); // also when another person's store is opened meanwhile
  for (const application of await local.applications.where('state').equals('waiting').toArray()) {
    await send(local, application);
  }
  if (Date.now() - pulledAt < INTERVAL_MS || !(await local.applications.where('state').equals('held').count())) return;
  await askForHeld(local);
  pulledAt = Date.now();
}

async function send(local: LocalDatabase, application: Application): Promise<void> {
  try {
    const answer = await unwrap(
      openApiFor(local.ownerId).POST('/field/v1/door-applications', { body: application.body! }),
    );
    const { state, number, zh, en, reason } = answer;
    const outcome = { zh, en, reason: reason ?? '' };
    await putApplication(local, { ...application, state, number, outcome, form: null, body: null });
  } catch (error) {
    if (!(error instanceof Problem && error.isFinal)) throw error; // sent again with the next sync
    const outcome = { zh: error.sentence, en: error.sentence, reason: '' };
    await putApplication(local, { ...application, state: 'refused', outcome });
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
