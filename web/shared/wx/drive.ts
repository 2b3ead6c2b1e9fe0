// A mini-program's day against a real server, for tests/web/test_wx.py: reads what to do as JSON from its argument,
// prints what happened as JSON.
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
  visit: { id: string };
  evidence: { id: string }[];
  paths: string[];
};
const NAMES = ['assignments', 'households', 'checklists', 'visits', 'evidence', 'attestations'];

const stub = new StubWx(given.folder);
stub.graceMs = 50;
const wx = stub as unknown as Wx;
const http = openHttp(wx, given.url, { label: 'mini-program', appVersion: 'test' });
await http.signIn(given.login, given.password);
const files = openFiles(wx);
const open = () => Object.fromEntries(NAMES.map((name) => [name, openCollection(http, files, name)]));

let store = open();
await Promise.all(NAMES.map((name) => store[name]!.sync()));
const homes = store['households']!.all().length;

store['visits']!.put(given.visit);
given.evidence.forEach((one) => store['evidence']!.put(one));
const waiting = store['visits']!.waiting() + store['evidence']!.waiting();
store = open(); // the app was killed: what was put is in its files
const kept = store['visits']!.waiting() + store['evidence']!.waiting();
await store['evidence']!.sync();
await store['visits']!.sync();

// Many at once: the queue keeps to what WeChat allows.
await Promise.all(Array.from({ length: 30 }, () => http.ask('/auth/v1/me')));

// The first photo in pieces, the app hidden in the middle of one; the second whole.
const uploads = openUploads(wx, http, files);
uploads.queue(given.evidence[0]!.id, given.paths[0]!);
stub.delayMs = 150;
let hidden = false;
const progress: number[] = [];
await uploads.run((photo) => {
  progress.push(photo.sentBytes);
  if (hidden) return;
  hidden = true;
  setTimeout(() => stub.hideApp(), 20);
  setTimeout(() => stub.showApp(), 400);
});
stub.delayMs = 0;
await uploads.sendWhole(given.evidence[1]!.id, given.paths[1]!);
let refusal = '';
await uploads.sendWhole(given.evidence[1]!.id, given.paths[0]!).catch((error) => (refusal = error.code));

await new Promise((resolve) => setTimeout(resolve, 1000));
await store['evidence']!.sync();
await store['visits']!.sync();
console.log(
  JSON.stringify({
    homes,
    waiting,
    kept,
    progress,
    refusal,
    most: stub.seen.most,
    cut: stub.seen.cut,
    methods: [...stub.seen.methods],
    left: uploads.waiting().length,
    visit: store['visits']!.get(given.visit.id)?.server,
    evidence: given.evidence.map((one) => store['evidence']!.get(one.id)?.server?.['state']),
  }),
);
process.exit(0);
