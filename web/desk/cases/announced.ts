// What was announced, as typed beside each sum, and as the API takes it: only what was filled in.
import type { components } from '@shared/api/wire.d.ts';
import { readYuan } from '@shared/format.ts';

type Announced = components['schemas']['Announced'];
type Cells = Record<'households' | 'people' | 'changeFen', string>;
export type Typed = Record<Announced['kind'], Cells>;

export function readAnnounced(typed: Typed): Announced[] {
  return Object.entries(typed)
    .map(([kind, cells]) => ({ kind: kind as Announced['kind'], ...read(cells) }))
    .filter((one) => one.households !== null || one.people !== null || one.changeFen !== null);
}

function read(cells: Cells): { households: number | null; people: number | null; changeFen: number | null } {
  const count = (text: string): number | null => (/^\s*\d{1,9}\s*$/.test(text) ? Number(text) : null);
  return {
    households: count(cells.households),
    people: count(cells.people),
    changeFen: cells.changeFen.trim() ? readYuan(cells.changeFen) : null,
  };
}
