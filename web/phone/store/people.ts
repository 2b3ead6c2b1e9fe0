// The people who have signed in on this phone, so that what one of them left here can be named to the next.
import type { Person } from '@shared/api/session.ts';

const KEY = 'zoufang.phone.people';

export function rememberPerson({ personId, name }: Pick<Person, 'personId' | 'name'>): void {
  localStorage.setItem(KEY, JSON.stringify({ ...readNames(), [personId]: name }));
}

/** The name of a person who has signed in on this phone; null for anybody else. */
export function findName(personId: string): string | null {
  return readNames()[personId] ?? null;
}

function readNames(): Record<string, string> {
  return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, string>;
}
