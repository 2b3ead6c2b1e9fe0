// What the QR codes say: an address of this app, so that any scanner (WeChat's too) opens the right screen, and a
// code to type where nothing can be scanned.
import { parseTypedCode, parseVisitCode, formatTypedCode, formatVisitCode } from '@shared/ids.ts';

/** For the second investigator: attest this visit. */
export function attestAddress(visitId: string): string {
  return `${location.origin}/m/attest/${formatVisitCode(visitId)}`;
}

/** For the first: name this person as investigator. */
export function colleagueAddress(personId: string, name: string): string {
  return `${location.origin}/m/attest/?colleague=${formatTypedCode(personId)}&name=${encodeURIComponent(name)}`;
}

/** The id of a scanned address or a typed code, whichever of the two it came from. */
export function readVisit(text: string): string | null {
  const scanned = /\/m\/attest\/([0-9A-Za-z-]+)/.exec(text);
  return parseVisitCode(scanned ? scanned[1]! : text);
}

export function readColleague(text: string): { id: string; name: string } | null {
  const scanned = /[?&]colleague=([^&]+)(?:&name=([^&]*))?/.exec(text);
  const id = parseTypedCode(scanned ? scanned[1]! : text);
  return id ? { id, name: decodeURIComponent(scanned?.[2] ?? '') } : null;
}
