// Phones made of the real RxDB and its own HTTP client, driven by a test: one JSON command a line on stdin,
// one answer a line on stdout. Nothing of RxDB is patched; what this file adds is only what an app adds:
// schemas, what a phone tells of itself, and what it does when the server asks it to reload.
import { createHash, randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { createRxDatabase } from 'rxdb/plugins/core';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { wrappedValidateAjvStorage } from 'rxdb/plugins/validate-ajv';
import { replicateServer } from 'rxdb-server/plugins/replication-server';
import { firstValueFrom, filter, timeout } from 'rxjs';

const answer = (told) => process.stdout.write(`@${JSON.stringify(told)}\n`);
// RxDB's HTTP client prints what it does not know; stdout belongs to the answers.
console.log = console.dir = () => {};

const any = {};
const text = { type: 'string' };
const flag = { type: 'boolean' };
const schema = (properties, required = []) => ({
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 200 }, server: { type: 'object' }, reason: text, ...properties },
  required: ['id', ...required],
});
const names = (...keys) => Object.fromEntries(keys.map((key) => [key, any]));

const SCHEMAS = {
  assignments: schema(names('householdId', 'kind', 'dueOn', 'checklistCode', 'checklistVersion', 'partnerId', 'partnerName',
    'plannedOn', 'planPosition', 'note', 'lastAnswers')),
  households: schema(names('number', 'areaCode', 'areaName', 'headName', 'address', 'phoneMask', 'latitude', 'longitude',
    'datum', 'class', 'monthlyAmountFen', 'members', 'group')),
  checklists: schema(names('code', 'version', 'kind', 'body')),
  visits: schema({ ...names('assignmentId', 'checklistCode', 'checklistVersion', 'state', 'mode', 'modeReason', 'startedAt',
    'endedAt', 'startFix', 'endFix', 'investigatorIds', 'familyPresent', 'answers', 'photos', 'amendment',
    'unorderedReason', 'unchanged', 'noFixReason', 'fromPaper', 'unknownField'),
    householdId: text, kind: text }),
  evidence: schema(names('visitId', 'subjectKind', 'subjectId', 'questionId', 'sha256', 'sizeBytes', 'mediaType', 'capturedAt', 'fix', 'note', 'source')),
  attestations: schema(names('visitId', 'attestedAt', 'fix', 'noFixReason')),
};
const READ_ONLY = new Set(['assignments', 'households', 'checklists']);

class Phone {
  replications = {};
  errors = [];
  told = []; // status of every answer, by what was asked
  generation = {};

  static async open({ collections = Object.keys(SCHEMAS), ...options }) {
    const phone = new Phone();
    phone.options = { batch: 100, retryMs: 50, live: false, ...options };
    phone.database = await createRxDatabase({
      name: randomUUID(),
      storage: wrappedValidateAjvStorage({ storage: getRxStorageMemory() }),
      multiInstance: false,
    });
    await phone.database.addCollections(Object.fromEntries(collections.map((one) => [one, { schema: SCHEMAS[one] }])));
    return phone;
  }

  online(options = {}) {
    Object.assign(this.options, options);
    for (const name of Object.keys(this.database.collections)) this.start(name);
  }

  start(name) {
    const { url, token, batch, retryMs, live } = this.options;
    const replication = replicateServer({
      collection: this.database[name],
      replicationIdentifier: `zoufang-${name}-${this.generation[name] ?? 0}`,
      url: `${url}/field/v1/sync/${name}/1`,
      headers: { Authorization: `Bearer ${token}` },
      pull: { batchSize: batch },
      ...(READ_ONLY.has(name) ? {} : { push: { batchSize: batch } }),
      live,
      retryTime: retryMs,
      waitForLeadership: false,
      autoStart: true,
    });
    replication.error$.subscribe((error) => this.errors.push(describe(error)));
    this.replications[name] = replication;
  }

  async offline() {
    await Promise.all(Object.values(this.replications).map((one) => one.cancel()));
    this.replications = {};
  }

  // All that is pending goes up and all that is new comes down.
  async sync() {
    for (const [name, one] of Object.entries(this.replications)) {
      if (this.options.live) {
        one.reSync();
        await one.awaitInSync();
      } else {
        await one.cancel();
        this.start(name);
        await this.replications[name].awaitInitialReplication();
      }
    }
  }

  // What an app does on `sync.digest_mismatch`. What only comes down is thrown away and comes anew; where the phone
  // writes too, it forgets what the server is believed to hold: everything goes up again, then comes down.
  async reload(name) {
    await this.replications[name]?.cancel();
    this.generation[name] = (this.generation[name] ?? 0) + 1;
    if (READ_ONLY.has(name)) {
      await this.database[name].remove();
      await this.database.addCollections({ [name]: { schema: SCHEMAS[name] } });
    }
    this.start(name);
    await this.replications[name].awaitInitialReplication();
  }

  async documents(name) {
    const found = await this.database[name].find().exec();
    return Object.fromEntries(found.map((one) => [one.id, one.toJSON()]));
  }
}

// The twin of `held_digest` in field_api/sync/digest.py: XOR over every document that came from the server of
// SHA-256(id, line feed, server.rev); the order does not matter, and none at all gives zeros.
export function digest(documents) {
  const sum = Buffer.alloc(32);
  for (const one of Object.values(documents)) {
    if (one.server?.rev === undefined) continue;
    createHash('sha256').update(`${one.id}\n${one.server.rev}`).digest().forEach((byte, place) => (sum[place] ^= byte));
  }
  return sum.toString('hex');
}

function describe(error) {
  const inner = error?.parameters?.errors?.[0];
  return { code: error?.code, cause: inner?.code ?? inner?.message ?? String(error), problem: inner?.parameters };
}

const phones = {};
const COMMANDS = {
  open: async ({ phone, offline, ...options }) => {
    phones[phone] = await Phone.open(options);
    if (!offline) phones[phone].online();
  },
  online: async ({ phone, ...options }) => phones[phone].online(options),
  offline: async ({ phone }) => phones[phone].offline(),
  close: async ({ phone }) => {
    await phones[phone].offline();
    await phones[phone].database.close();
    delete phones[phone];
  },
  insert: async ({ phone, collection, documents }) => {
    const done = await phones[phone].database[collection].bulkInsert(documents.map(({ _deleted, ...rest }) => rest));
    if (done.error.length) throw new Error(JSON.stringify(done.error));
  },
  patch: async ({ phone, collection, id, change }) => {
    const found = await phones[phone].database[collection].findOne(id).exec();
    await found.incrementalPatch(change);
  },
  remove: async ({ phone, collection, id }) => {
    const found = await phones[phone].database[collection].findOne(id).exec();
    await found.incrementalRemove();
  },
  sync: async ({ phone }) => phones[phone].sync(),
  reload: async ({ phone, collection }) => phones[phone].reload(collection),
  documents: async ({ phone, collection }) => phones[phone].documents(collection),
  digest: async ({ phone, collection }) => digest(await phones[phone].documents(collection)),
  errors: async ({ phone }) => phones[phone].errors.splice(0),
  until: async ({ phone, collection, id, present = true, seconds = 8 }) => {
    const query = phones[phone].database[collection].findOne(id);
    const found = await firstValueFrom(query.$.pipe(filter((one) => !!one === present), timeout(seconds * 1000)));
    return found ? found.toJSON() : null;
  },
};

process.on('unhandledRejection', (error) => answer({ number: null, unhandled: String(error?.stack ?? error) }));
const input = createInterface({ input: process.stdin });
input.on('line', async (line) => {
  const { number, do: name, ...words } = JSON.parse(line);
  try {
    answer({ number, result: (await COMMANDS[name](words)) ?? null });
  } catch (error) {
    answer({ number, error: String(error?.stack ?? error) });
  }
});
input.on('close', () => process.exit(0));
