// What a reviewer has noted of a visit and not decided yet. It is kept while they look elsewhere, as long as the visit
// is theirs.
import { ref, type Ref } from 'vue';

export type Settled = Record<string, 'upheld' | 'dismissed'>;
export interface Questioned {
  key: string;
  label: string;
  questionId: string;
  evidenceId: string | null;
  reason: string;
}
interface Note {
  settled: Ref<Settled>;
  questioned: Ref<Questioned[]>;
}
const notes = new Map<string, Note>();

export function noteOf(visitId: string): Note {
  const held = notes.get(visitId) ?? { settled: ref({}), questioned: ref([]) };
  notes.set(visitId, held);
  return held;
}

export function forgetNote(visitId: string): void {
  notes.delete(visitId);
}
