// The QR codes hold addresses of this app, so that any scanner (WeChat's too) opens the right screen; each has a short
// code for typing.
import { parseTypedCode, parseVisitCode, formatTypedCode, formatVisitCode } from '@shared/ids.ts';

/** The address by which the second investigator attests this visit. */
export function buildAttestUrl(visitId: string): string {
  return `${location.origin}/m/attest/${formatVisitCode(visitId)}`;
}

/** The address by which a colleague adds this person as investigator. */
export function buildColleagueUrl(personId: string, name: string): string {
  return `${location.origin}/m/attest/?colleague=${formatTypedCode(personId)}&name=${encodeURIComponent(name)}`;
}

/** The visit ID in a scanned address or a typed code; null when there is none. */
export function parseVisit(text: string): string | null {
  const scanned = /\/m\/attest\/([0-9A-Za-z-]+)/.exec(text);
  return parseVisitCode(scanned ? scanned[1]! : text);
}

export function parseColleague(text: string): { id: string; name: string } | null {
  const scanned = /[?&]colleague=([^&]+)(?:&name=([^&]*))?/.exec(text);
  const id = parseTypedCode(scanned ? scanned[1]! : text);
  return id ? { id, name: decodeURIComponent(scanned?.[2] ?? '') } : null;
}
