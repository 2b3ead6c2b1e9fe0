// A scripted day of a mini-program against a real server, for tests/web/test_wx.py: reads its input as JSON from the
// argument and prints the results as JSON. The app is hidden in the middle of every long operation.
import { openFiles } from './files.ts';
import { openHttp, type Wx } from './http.ts';
import { StubWx } from './stub.ts';
import { openCollection } from './sync.ts';
import { openUploads } from './uploads.ts';

const given = JSON.parse(process.argv[2]!) as {
  url: string;
  folder: string;
  login: string;
  password: string;
  clockAheadMs: number;
  visit: { id: string };
  evidence: { id: string }[];
  paths: string[];
};
const NAMES = ['assignments', 'households', 'checklists', 'visits', 'evidence', 'attestations'];
const TOKENS = 'zoufang.tokens';
const sleep = (forMs: number) => new Promise((resolve) => setTimeout(resolve, forMs));

const realNow = Date.now;
Date.now = () => realNow() + given.clockAheadMs;

const stub = new StubWx(given.folder);
stub.graceMs = 100;
const wx = stub as unknown as Wx;
const openAll = () => openHttp(wx, given.url, { label: 'mini-program', appVersion: 'test' });
let http = openAll();
await http.signIn(given.login, given.password);
const files = openFiles(wx);
const open = () => Object.fromEntries(NAMES.map((name) => [name, openCollection(http, files, name)]));
const syncAll = () => Promise.all(NAMES.map((name) => store[name]!.sync()));

/** Run `action` with the app hidden soon after its start and shown again much later; returns the number of cut requests. */
async function hiddenDuring(
  action: () => Promise<unknown>,
  delays: { delayMs?: number; holdMs?: number; times?: number },
): Promise<number> {
  const { delayMs = 0, holdMs = 0, times = 1 } = delays;
  const before = stub.seen.cut;
  Object.assign(stub, { delayMs, holdMs });
  void (async () => {
    for (let time = 0; time < times; time++) {
      await sleep(30);
      stub.hideApp();
      await sleep(500);
      if (time === times - 1) Object.assign(stub, { delayMs: 0, holdMs: 0 });
      stub.showApp();
    }
  })();
  await action();
  return stub.seen.cut - before;
}

let store = open();
const cut = {
  pull: await hiddenDuring(syncAll, { delayMs: 400, times: 4 }),
  push: 0,
  refresh: 0,
  chunk: 0,
  answer: 0,
  form: 0,
};
const homes = store['households']!.all().length;

store['visits']!.put(given.visit);
given.evidence.forEach((evidence) => store['evidence']!.put(evidence));
const waiting = store['visits']!.waiting() + store['evidence']!.waiting();
store = open(); // after a kill the documents are read from files
const kept = store['visits']!.waiting() + store['evidence']!.waiting();
// The server has received them and its response is lost; a page that is shown again syncs at the same time.
cut.push = await hiddenDuring(() => Promise.all([store['evidence']!.sync(), store['evidence']!.sync()]), {
  holdMs: 400,
});
store['evidence']!.put(given.evidence[0]!);
const counted = store['evidence']!.waiting();
await store['evidence']!.sync();
await store['visits']!.sync();

// Many concurrent requests: the queue stays within WeChat's limit.
await Promise.all(Array.from({ length: 30 }, () => http.request('/auth/v1/me')));
const refreshes = () => stub.seen.paths.filter((path) => path.endsWith('/refresh')).length;
const early = refreshes();

// On another day the token has expired, and the response to its refresh is lost.
stub.setStorageSync(TOKENS, { ...(stub.getStorageSync(TOKENS) as object), goodUntilMs: 0 });
http = openAll();
cut.refresh = await hiddenDuring(() => Promise.all([http.request('/auth/v1/me'), http.request('/auth/v1/me')]), {
  holdMs: 400,
});
store = open();

// The first photo in chunks: one that was never sent, then one whose response is lost; two concurrent runs.
const uploads = openUploads(wx, http, files);
uploads.queue(given.evidence[0]!.id, given.paths[0]!);
const progress: number[] = [];
const run = () => uploads.run((photo) => progress.push(photo.sentBytes));
cut.chunk = await hiddenDuring(
  () =>
    new Promise<void>((done) => {
      void run();
      void uploads.run(({ sentBytes }) => sentBytes > 0 && done());
    }),
  { delayMs: 400 },
);
cut.answer = await hiddenDuring(run, { holdMs: 400 });
const left = uploads.waiting().length;

// The second photo whole; a photo that differs from its evidence document is refused and blocks no other.
cut.form = await hiddenDuring(() => uploads.sendWhole(given.evidence[1]!.id, given.paths[1]!), { holdMs: 400 });
uploads.queue(given.evidence[2]!.id, given.paths[0]!);
uploads.queue(given.evidence[3]!.id, given.paths[3]!);
const problems: string[] = [];
await uploads.run().catch((error) => problems.push(error.code));
await uploads.sendWhole(given.evidence[2]!.id, given.paths[0]!).catch((error) => problems.push(error.code));
const stuck = uploads.waiting().map((photo) => photo.evidenceId);

await sleep(1000);
await store['evidence']!.sync();
await store['visits']!.sync();
console.log(
  JSON.stringify({
    homes,
    waiting,
    kept,
    counted,
    cut,
    refreshes: [early, refreshes() - early],
    progress,
    left,
    problems,
    stuck,
    most: stub.seen.most,
    refused: stub.seen.refused,
    methods: [...stub.seen.methods],
    visit: store['visits']!.get(given.visit.id)?.server,
    evidence: given.evidence.map((evidence) => store['evidence']!.get(evidence.id)?.server?.['state']),
  }),
);
process.exit(0);
