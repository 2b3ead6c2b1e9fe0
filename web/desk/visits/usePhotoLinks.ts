// Signed links to photos, valid for minutes: requested on first use and again after they expire.
import { unwrap, api } from '@shared/api/client.ts';
import { reactive } from 'vue';

export type Rendition = '320' | '1280' | 'original' | 'watermarked';
interface Link {
  url: string;
  until: number;
}
const EARLY_MS = 20_000;

type LoadLink = (
  ownerId: string,
  evidenceId: string,
  rendition: Rendition,
) => Promise<{ url: string; expiresAt: string }>;

const loadOfVisit: LoadLink = (visitId, evidenceId, rendition) =>
  unwrap(
    api.GET('/desk/v1/visits/{visit_id}/photos/{evidence_id}/link', {
      params: { path: { visit_id: visitId, evidence_id: evidenceId }, query: { rendition } },
    }),
  );

export interface PhotoLinks {
  /** Return the link, or an empty string until it has loaded. */
  of: (evidenceId: string, rendition: Rendition) => string;
  fetch: (evidenceId: string, rendition: Rendition) => Promise<string>;
}

/** Links to the photos of a visit, or by another `load` of anything else. */
export function usePhotoLinks(visitId: string, load: LoadLink = loadOfVisit): PhotoLinks {
  const links = reactive(new Map<string, Link>());
  const asking = new Set<string>();
  const fetchLink = async (evidenceId: string, rendition: Rendition): Promise<string> => {
    const link = await load(visitId, evidenceId, rendition);
    links.set(`${evidenceId}/${rendition}`, { url: link.url, until: Date.parse(link.expiresAt) - EARLY_MS });
    return link.url;
  };
  return {
    fetch: fetchLink,
    of(evidenceId, rendition) {
      const key = `${evidenceId}/${rendition}`;
      const cached = links.get(key);
      if ((!cached || cached.until < Date.now()) && !asking.has(key)) {
        asking.add(key); // kept after a failure, so that a missing photo is not requested in a loop
        void fetchLink(evidenceId, rendition).then(
          () => asking.delete(key),
          () => undefined,
        );
      }
      return cached?.url ?? '';
    },
  };
}
