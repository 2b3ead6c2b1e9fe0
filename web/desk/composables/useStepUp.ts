// The proof of identity that acts on accounts need: asked for once, and used again for its few minutes.
import { onStepUpRequired } from '@shared/api/client.ts';
import { session } from '@shared/api/session.ts';
import { ref } from 'vue';

// A minute less than the server's five.
const LIFETIME_MS = 4 * 60_000;

interface Proof {
  token: string;
  personId: string | undefined;
  until: number;
}

let proof: Proof | null = null;
let settle: ((token: string | null) => void) | null = null;
/** Whether the dialog is to be shown. */
export const asksForIdentity = ref(false);

export function finishStepUp(token: string | null): void {
  asksForIdentity.value = false;
  if (token) proof = { token, personId: session.person?.personId, until: Date.now() + LIFETIME_MS };
  settle?.(token);
  settle = null;
}

onStepUpRequired(() => {
  if (proof && proof.personId === session.person?.personId && Date.now() < proof.until) {
    return Promise.resolve(proof.token);
  }
  finishStepUp(null); // an earlier question that nobody answered
  asksForIdentity.value = true;
  return new Promise((resolve) => (settle = resolve));
});
