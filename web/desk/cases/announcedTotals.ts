// Parse the announced figures as typed beside each total; figures left empty are not sent.
import type { components } from '@shared/api/wire.d.ts';
import { parseYuan } from '@shared/format.ts';

type Announced = components['schemas']['AnnouncedTotal'];
type Cells = Record<'households' | 'people' | 'changeFen', string>;
export type AnnouncedDraft = Record<Announced['kind'], Cells>;

export function readAnnounced(draft: AnnouncedDraft): Announced[] {
  return Object.entries(draft)
    .map(([kind, cells]) => ({ kind: kind as Announced['kind'], ...readFigures(cells) }))
    .filter((figures) => figures.households !== null || figures.people !== null || figures.changeFen !== null);
}

function readFigures(cells: Cells): { households: number | null; people: number | null; changeFen: number | null } {
  const readCount = (text: string): number | null => (/^\s*\d{1,9}\s*$/.test(text) ? Number(text) : null);
  return {
    households: readCount(cells.households),
    people: readCount(cells.people),
    changeFen: cells.changeFen.trim() ? parseYuan(cells.changeFen) : null,
  };
}
