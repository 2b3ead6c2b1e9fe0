// What the signed-in person may open. The server decides again at every request; this only spares useless doors.
import { session } from '@shared/api/session.ts';
import type { components } from '@shared/api/wire.d.ts';

export type Role = components['schemas']['Role'];

export const REVIEWERS: readonly Role[] = ['town_officer', 'county_officer', 'supervisor'];
export const CASE_OFFICERS: readonly Role[] = ['town_officer', 'county_officer'];
export const REGISTERS: readonly Role[] = [...REVIEWERS, 'admin'];
const TRAIL_READERS: readonly Role[] = ['county_officer', 'supervisor', 'admin'];

/** Who may open which screen. */
const SCREENS = {
  '/queue': REVIEWERS,
  '/visits': REVIEWERS,
  '/overview': REVIEWERS,
  '/due': REVIEWERS,
  '/spot-checks': REVIEWERS,
  '/households': REVIEWERS,
  '/cases': REVIEWERS,
  '/cross-checks': CASE_OFFICERS,
  '/postings': REVIEWERS,
  '/proposals': CASE_OFFICERS,
  '/complaints': REVIEWERS,
  '/rules': REGISTERS,
  '/checklists': REGISTERS,
  '/staff': REGISTERS,
  '/devices': REVIEWERS,
  '/audit': TRAIL_READERS,
} as const;
export type Screen = keyof typeof SCREENS;

export function mayOpen(path: string): boolean {
  const roles = SCREENS[`/${path.split('/')[1] ?? ''}` as Screen];
  return !roles || has(roles);
}

/** The first of the screens that are open to whoever is signed in; none to those who only visit homes. */
export function home(): Screen | undefined {
  return (Object.keys(SCREENS) as Screen[]).find((path) => has(SCREENS[path]));
}

export function has(roles: readonly Role[]): boolean {
  return (session.person?.roles ?? []).some((one) => roles.includes(one.role));
}

/** The widest area that the person holds: what lists and overviews begin with. */
export function ownArea(): string {
  const codes = (session.person?.roles ?? []).map((one) => one.area_code);
  return codes.sort((one, other) => one.length - other.length)[0] ?? '';
}
