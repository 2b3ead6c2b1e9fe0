// Seals rows of the phone's own database: some fields stay in clear, the others go into one sealed field. A row in clear,
// as earlier versions wrote it, is read as it is.
//
// Cursors see sealed rows: a table that is sealed is read by key, by `where(…).equals(…)` or whole, and filtered afterwards;
// a filter within a query may look at clear fields alone.
import Dexie, { type DBCoreTable } from 'dexie';
import { sealJson, unsealJson } from './sealing.ts';

type Row = Record<string, unknown> & { id: string; sealed?: Uint8Array<ArrayBuffer> };

/** Below Dexie's own layers, which then see rows in clear. */
const LEVEL = -10;

/** Seal the tables that are named here but for these fields. */
export function sealTables(database: Dexie, key: CryptoKey, clearFields: Record<string, readonly string[]>): void {
  database.use({
    stack: 'dbcore',
    name: 'sealing',
    level: LEVEL,
    create: (below) => ({
      ...below,
      table: (name) => {
        const clear = clearFields[name];
        return clear ? sealTable(below.table(name), key, clear) : below.table(name);
      },
    }),
  });
}

function sealTable(table: DBCoreTable, key: CryptoKey, clear: readonly string[]): DBCoreTable {
  const sealAll = (rows: readonly Row[]) => wait(Promise.all(rows.map((row) => sealRow(table.name, key, clear, row))));
  const unsealAll = (rows: (Row | undefined)[]) =>
    wait(Promise.all(rows.map((row) => row && unsealRow(table.name, key, row))));
  return {
    ...table,
    mutate: (request) => {
      if (request.type !== 'add' && request.type !== 'put') return table.mutate(request);
      if ((request.values as Row[]).every((row) => row.sealed)) return table.mutate(request); // before the transaction
      return sealAll(request.values as Row[]).then((values) => table.mutate({ ...request, values }));
    },
    get: (request) => table.get(request).then((row: Row | undefined) => unsealAll([row]).then(([first]) => first)),
    getMany: (request) => table.getMany(request).then((rows) => unsealAll(rows as Row[])),
    query: (request) =>
      table.query(request).then((answer) => {
        if (!request.values) return answer;
        return unsealAll(answer.result as Row[]).then((result) => ({ ...answer, result }));
      }),
  };
}

/** The transaction stays open while the cipher works. */
function wait<T>(pending: Promise<T>): Promise<T> {
  return Dexie.currentTransaction ? Dexie.waitFor(pending) : pending;
}

/** A row as it is stored. Sealed before its transaction begins, it is written at once. */
export async function sealRow(table: string, key: CryptoKey, clear: readonly string[], row: Row): Promise<Row> {
  const kept: Row = { id: row.id };
  const sealed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row)) (clear.includes(name) ? kept : sealed)[name] = value;
  return { ...kept, sealed: await sealJson(key, `${table}/${row.id}`, sealed) };
}

async function unsealRow(table: string, key: CryptoKey, { sealed, ...kept }: Row): Promise<Row> {
  return sealed ? ({ ...kept, ...(await unsealJson(key, `${table}/${kept.id}`, sealed)) } as Row) : (kept as Row);
}
