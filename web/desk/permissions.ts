// What the signed-in person may open. It only hides menu entries: the server checks every request.
import { session } from '@shared/api/session.ts';
import type { components } from '@shared/api/wire.d.ts';

export type Role = components['schemas']['Role'];

export const REVIEWERS: readonly Role[] = ['town_officer', 'county_officer', 'supervisor'];
export const CASE_OFFICERS: readonly Role[] = ['town_officer', 'county_officer'];
export const DIRECTORY_READERS: readonly Role[] = [...REVIEWERS, 'admin'];
/** Who manages accounts of staff, and brings files in. */
export const MANAGERS: readonly Role[] = ['town_officer', 'county_officer', 'admin'];
/** Who renames, merges and moves villages, and takes everything of an area along. */
export const AREA_KEEPERS: readonly Role[] = ['county_officer', 'admin'];
const AUDIT_READERS: readonly Role[] = ['county_officer', 'supervisor', 'admin'];

/** Roles that may open each screen. */
const SCREENS = {
  '/queue': REVIEWERS,
  '/visits': REVIEWERS,
  '/overview': DIRECTORY_READERS,
  '/due': REVIEWERS,
  '/orders': REVIEWERS,
  '/spot-checks': REVIEWERS,
  '/households': REVIEWERS,
  '/duplicates': CASE_OFFICERS,
  '/cases': REVIEWERS,
  '/recommendations': REVIEWERS,
  '/proofs': REVIEWERS,
  '/raises': REVIEWERS,
  '/cross-checks': CASE_OFFICERS,
  '/rosters': REVIEWERS,
  '/records': REVIEWERS,
  '/aid': REVIEWERS,
  '/change-returns': REVIEWERS,
  '/postings': REVIEWERS,
  '/messages': REVIEWERS,
  '/proposals': CASE_OFFICERS,
  '/complaints': REVIEWERS,
  '/rules': DIRECTORY_READERS,
  '/checklists': DIRECTORY_READERS,
  '/staff': DIRECTORY_READERS,
  '/areas': DIRECTORY_READERS,
  '/imports': MANAGERS,
  '/packages': AREA_KEEPERS,
  '/devices': REVIEWERS,
  '/failed-jobs': DIRECTORY_READERS,
  '/audit': AUDIT_READERS,
  '/reads': AUDIT_READERS,
  '/data-requests': REVIEWERS,
  '/problem-reports': DIRECTORY_READERS,
} as const;
export type Screen = keyof typeof SCREENS;

export function canOpen(path: string): boolean {
  const roles = SCREENS[`/${path.split('/')[1] ?? ''}` as Screen];
  return !roles || hasRole(roles);
}

/** Return the first screen that the person may open; undefined for caseworkers, who use the phone app. */
export function findLandingScreen(): Screen | undefined {
  return (Object.keys(SCREENS) as Screen[]).find((path) => hasRole(SCREENS[path]));
}

export function hasRole(roles: readonly Role[]): boolean {
  return (session.person?.roles ?? []).some((assignment) => roles.includes(assignment.role));
}

/** Which roles the holder of a role may grant and end, as the server has it. */
const GRANTS: Partial<Record<Role, readonly Role[]>> = {
  admin: ['caseworker', 'panelist', 'town_officer', 'county_officer', 'supervisor', 'admin'],
  county_officer: ['caseworker', 'panelist', 'town_officer'],
  town_officer: ['caseworker', 'panelist'],
};

export function listGrantableRoles(): Role[] {
  const own = session.person?.roles ?? [];
  return [...new Set(own.flatMap((assignment) => GRANTS[assignment.role] ?? []))];
}

/** Return the widest area of the person's roles, the default of lists and overviews. */
export function getOwnArea(): string {
  const areaCodes = (session.person?.roles ?? []).map((assignment) => assignment.area_code);
  return areaCodes.sort((a, b) => a.length - b.length)[0] ?? '';
}
