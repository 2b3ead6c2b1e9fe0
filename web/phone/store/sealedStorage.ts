// RxDB's storage with every document sealed. In clear stay the primary key, what indexes need, and RxDB's own bookkeeping
// (revision, time of writing, whether deleted). A row in clear, as earlier versions wrote it, is read as it is.
import Dexie from 'dexie';
import {
  wrapRxStorageInstance,
  type RxJsonSchema,
  type RxStorage,
  type RxStorageInstanceCreationParams,
} from 'rxdb/plugins/core';
import { fromBase64, sealJson, toBase64, unsealJson } from './sealing.ts';

type Row = Record<string, unknown> & { _sealed?: string };

/** RxDB's list of collections and schemas, which holds nothing of anybody. */
const INTERNAL_COLLECTION = '_rxdb_internal';
const CONVERTED_AT_ONCE = 20;

export function sealStorage<I, O>(storage: RxStorage<I, O>, key: CryptoKey): RxStorage<I, O> {
  return Object.assign({}, storage, {
    async createStorageInstance<T>(params: RxStorageInstanceCreationParams<T, O>) {
      const instance = await storage.createStorageInstance(params);
      if (params.collectionName === INTERNAL_COLLECTION) return instance;
      const clear = listClearFields(params.schema as RxJsonSchema<unknown>);
      const { collectionName } = params;
      return wrapRxStorageInstance(
        params.schema,
        instance,
        (row) => sealRow(key, collectionName, clear, row as Row) as never,
        (row) => unsealRow(key, collectionName, clear, row as Row) as never,
      );
    },
  });
}

/** The fields that stay in clear: the key and its parts, those of indexes, and RxDB's own, which begin with `_`. */
function listClearFields(schema: RxJsonSchema<unknown>): string[] {
  const { primaryKey } = schema;
  const ofKey = typeof primaryKey === 'string' ? [primaryKey] : [primaryKey.key, ...primaryKey.fields];
  const indexed = (schema.indexes ?? []).flat();
  return [...new Set([...ofKey, ...indexed].map((path) => String(path).split('.')[0]!))];
}

async function sealRow(key: CryptoKey, collection: string, clear: string[], row: Row): Promise<Row> {
  const kept: Row = {};
  const sealed: Row = {};
  for (const [name, value] of Object.entries(row)) {
    (name.startsWith('_') || clear.includes(name) ? kept : sealed)[name] = value;
  }
  kept._sealed = toBase64(await sealJson(key, placeOf(collection, clear, row), sealed));
  return kept;
}

async function unsealRow(key: CryptoKey, collection: string, clear: string[], row: Row): Promise<Row> {
  const { _sealed, ...kept } = row;
  if (_sealed === undefined) return row;
  return { ...kept, ...(await unsealJson(key, placeOf(collection, clear, row), fromBase64(_sealed))) };
}

function placeOf(collection: string, clear: string[], row: Row): string {
  return `${collection}/${String(row[clear[0]!])}`;
}

/**
 * Seal the rows that an earlier version left in clear, while RxDB has the databases closed. Each row is replaced at once,
 * so that the phone may be killed at any time: the next pass takes up the rest.
 */
export async function sealStoredRows(databaseName: string, key: CryptoKey): Promise<void> {
  const prefix = `rxdb-dexie-${databaseName}--`;
  for (const name of await Dexie.getDatabaseNames()) {
    const collection = name.startsWith(prefix) ? name.slice(prefix.length).replace(/^\d+--/, '') : INTERNAL_COLLECTION;
    if (collection !== INTERNAL_COLLECTION) await sealDatabase(name, collection, key);
  }
}

async function sealDatabase(name: string, collection: string, key: CryptoKey): Promise<void> {
  const stored = await new Dexie(name).open();
  const rows = stored.table<Row, string>('docs');
  const clear = [...new Set([rows.schema.primKey, ...rows.schema.indexes].flatMap(({ keyPath }) => keyPath ?? []))]
    .map((path) => path.split('.')[0]!)
    .concat(collection.startsWith('rx-replication-meta') ? ['isCheckpoint', 'itemId'] : []);
  const ids = await rows.toCollection().primaryKeys();
  for (let at = 0; at < ids.length; at += CONVERTED_AT_ONCE) {
    const some = (await rows.bulkGet(ids.slice(at, at + CONVERTED_AT_ONCE))) as Row[];
    const open = some.filter((row) => row._sealed === undefined);
    await rows.bulkPut(await Promise.all(open.map((row) => sealRow(key, collection, clear, row))));
  }
  stored.close();
}
