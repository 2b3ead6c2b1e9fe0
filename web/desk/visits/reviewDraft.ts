// A reviewer's verdicts and questioned items before the decision. They survive navigation while the reviewer holds the
// lease.
import { ref, type Ref } from 'vue';

export type Verdicts = Record<string, 'upheld' | 'dismissed'>;
export interface QuestionedItem {
  key: string;
  label: string;
  questionId: string;
  evidenceId: string | null;
  reason: string;
}
interface ReviewDraft {
  verdicts: Ref<Verdicts>;
  questioned: Ref<QuestionedItem[]>;
}
const drafts = new Map<string, ReviewDraft>();

export function openReviewDraft(visitId: string): ReviewDraft {
  const draft = drafts.get(visitId) ?? { verdicts: ref({}), questioned: ref([]) };
  drafts.set(visitId, draft);
  return draft;
}

export function discardReviewDraft(visitId: string): void {
  drafts.delete(visitId);
}
