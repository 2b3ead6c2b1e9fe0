// The QR codes hold addresses of this app, so that any scanner (WeChat's too) opens the right screen; each has a short
// code for typing.
import { today } from '@shared/format.ts';
import type { Household, Visit } from '../store/documents.ts';
import { parseTypedCode, parseVisitCode, formatTypedCode, formatVisitCode } from '@shared/ids.ts';

/** What the code says of a visit, so that whoever attests sees it without a network. No name: other scanners read it too. */
export interface AttestedVisit {
  id: string;
  householdNumber: string | null;
  kind: string | null;
  /** YYYY-MM-DD */
  day: string | null;
}

/** The address by which the second investigator attests this visit. */
export function buildAttestUrl({ id, kind, startedAt }: Visit, household: Household | null): string {
  const query = new URLSearchParams({ k: kind });
  if (household) query.set('n', household.number);
  if (startedAt) query.set('d', today(new Date(startedAt)));
  return `${location.origin}/m/attest/${formatVisitCode(id)}?${query}`;
}

/** The address by which a colleague adds this person as investigator. */
export function buildColleagueUrl(personId: string, name: string): string {
  return `${location.origin}/m/attest/?colleague=${formatTypedCode(personId)}&name=${encodeURIComponent(name)}`;
}

/** The visit in a scanned address or a typed code, which says no more than its ID; null when there is none. */
export function parseVisit(text: string): AttestedVisit | null {
  const scanned = /\/m\/attest\/([0-9A-Za-z-]+)(?:\?([^#]*))?/.exec(text);
  const id = parseVisitCode(scanned ? scanned[1]! : text);
  if (!id) return null;
  const query = new URLSearchParams(scanned?.[2] ?? '');
  return { id, householdNumber: query.get('n'), kind: query.get('k'), day: query.get('d') };
}

export function parseColleague(text: string): { id: string; name: string } | null {
  const scanned = /[?&]colleague=([^&]+)(?:&name=([^&]*))?/.exec(text);
  const id = parseTypedCode(scanned ? scanned[1]! : text);
  return id ? { id, name: decodeURIComponent(scanned?.[2] ?? '') } : null;
}
