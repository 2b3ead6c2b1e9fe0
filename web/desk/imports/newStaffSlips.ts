// Slips for the accounts that an import of staff made.
import { unwrap, api } from '@shared/api/client.ts';
import { postForFile } from '../lib/downloads.ts';
import { attempt } from '../lib/messages.ts';

/** The server's limit for one sheet. */
const PEOPLE_PER_SHEET = 500;

export async function printNewStaffSlips(importId: string): Promise<void> {
  await attempt(async () => {
    const ids = await listNewStaff(importId);
    for (let start = 0; start < ids.length; start += PEOPLE_PER_SHEET) {
      const staffIds = ids.slice(start, start + PEOPLE_PER_SHEET);
      await postForFile('/desk/v1/staff/slips', `slips-${start / PEOPLE_PER_SHEET + 1}.pdf`, { staffIds });
    }
  });
}

/** A person may stand in several lines, a role each. */
async function listNewStaff(importId: string): Promise<string[]> {
  const ids = new Set<string>();
  let cursor: string | undefined;
  do {
    const query = { outcome: 'new', cursor, limit: 200 } as const;
    const page = await unwrap(
      api.GET('/desk/v1/imports/{import_id}/lines', { params: { path: { import_id: importId }, query } }),
    );
    for (const line of page.items) if (line.thingId) ids.add(line.thingId);
    cursor = page.nextCursor ?? undefined;
  } while (cursor);
  return [...ids];
}
