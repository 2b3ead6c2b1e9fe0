// Where a visit happened, for its map: the registered home, the partners, the photos, its start and end.
import type { components } from '@shared/api/wire.d.ts';
import { toWgs84, type Coordinates } from '@shared/coordinates.ts';
import type { Mark } from './VisitMap.vue';

export interface Fix extends Coordinates {
  datum: string;
  accuracyM: number | null;
  capturedAt: string;
  source?: string | null;
}
type Visit = components['schemas']['VisitDetail'];
type Position = (Coordinates & { datum: string; accuracyM: number | null }) | null | undefined;

/** List what the map shows, all in WGS-84. */
export function listMarks(
  visit: Visit,
  document: { startFix?: Fix; endFix?: Fix },
  names: Record<'home' | 'start' | 'end' | 'photo', string>,
): Mark[] {
  const found: Mark[] = [];
  const home = findHome(visit);
  const far = visit.findings.find((finding) => finding.code === 'visit.far_from_home');
  if (home) found.push({ ...home, kind: 'home', label: names.home, radiusM: Number(far?.facts['radiusM'] ?? 0) });
  const add = (fix: Fix | null | undefined, kind: Mark['kind'], label: string): void => {
    if (fix)
      found.push({ ...toWgs84(fix, fix.datum), kind, label, radiusM: fix.accuracyM ?? 0, source: fix.source ?? null });
  };
  for (const investigator of visit.investigators)
    if (!investigator.isAuthor) add(investigator.fix as Fix | null, 'partner', investigator.name);
  for (const photo of visit.photos) {
    const position = photo.facts?.['position'] as Position;
    if (!position) continue;
    const place = toWgs84(position, position.datum === 'GCJ-02' ? 'gcj02' : 'wgs84');
    found.push({ ...place, kind: 'photo', label: names.photo, radiusM: 0 });
  }
  add(document.endFix, 'end', names.end);
  add(document.startFix, 'start', names.start);
  return found;
}

/** Return the registered home in WGS-84; null where none is known. */
export function findHome(visit: Visit): Coordinates | null {
  const { latitude, longitude, datum } = (visit.home ?? {}) as Partial<Fix>;
  return latitude && longitude ? toWgs84({ latitude, longitude }, datum ?? 'wgs84') : null;
}
