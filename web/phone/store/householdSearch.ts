// Finds households on the phone, as the desk's search does: every word must fit something that is known of the household.
import { makeSearchKey } from '@shared/normalise.ts';
import type { Household } from './documents.ts';

/** The words of a search, in the form in which they are compared. */
export function splitSearch(text: string): string[] {
  return text.trim().split(/\s+/u).map(makeSearchKey).filter(Boolean);
}

/** Names of members, their pinyin and initials, archive number, address, village and group; a part of each is enough. */
export function matchesSearch(household: Household, words: string[]): boolean {
  const texts = [
    household.headName,
    household.number,
    household.address,
    household.areaName,
    household.group ?? '',
    ...household.members.map((member) => member.name),
  ].map(makeSearchKey);
  // An earlier server sent no pinyin. Pinyin is searched from a syllable's beginning on, so that `an` is not everybody.
  const spellings = household.members.flatMap((member) => (member.pinyin ?? '').split(' ')).filter(Boolean);
  return words.every(
    (word) => texts.some((text) => text.includes(word)) || spellings.some((spelling) => spelling.startsWith(word)),
  );
}
