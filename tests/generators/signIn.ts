// Signs in with the generated TypeScript client, pulls the assignments and prints the first one's id.
import { pullAssignments, signInStaff, whoAmI } from './client.ts';

declare const process: { argv: string[] };

const [login, password] = process.argv.slice(2);
const signedIn = await signInStaff({ login: login!, password: password!, device: { label: 'typescript' } });
if (signedIn.status !== 200) throw new Error(signedIn.data.code);
const init = { headers: { Authorization: `Bearer ${signedIn.data.accessToken}` } };
const me = await whoAmI(init);
if (me.status !== 200 || me.data.personId !== signedIn.data.personId) throw new Error('somebody else');
const page = await pullAssignments(1, undefined, init);
if (page.status !== 200) throw new Error(String(page.status));
console.log(page.data.documents[0]!.id);
