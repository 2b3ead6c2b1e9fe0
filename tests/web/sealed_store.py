"""A phone's store as versions before the PIN left it: everything in clear, and no key.

The script opens the rows as the app does (web/phone/store/phoneKeys.ts, sealing.ts) and takes the person and the PIN. It
runs on a page of the same origin that is not the app.
"""

UNSEAL = """async ([personId, pin]) => {
  const bytesOf = (text) => new TextEncoder().encode(text);
  const open = (name) => new Promise((done, fail) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
  const read = (database, table) => new Promise((done) => {
    database.transaction(table).objectStore(table).getAll().onsuccess = (event) => done(event.target.result);
  });
  const unseal = async (key, place, sealed) => new Uint8Array(await crypto.subtle.decrypt(
    { name: 'AES-GCM', iv: sealed.slice(0, 12), additionalData: bytesOf(place) }, key, sealed.slice(12)));
  const importKey = (raw) => crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['decrypt']);

  const keys = await open('zoufang-keys');
  const record = (await read(keys, 'keys')).find((one) => one.personId === personId);
  const secret = await crypto.subtle.importKey('raw', bytesOf(pin), 'PBKDF2', false, ['deriveBits']);
  const bits = await crypto.subtle.deriveBits(
    { name: 'PBKDF2', hash: 'SHA-256', salt: record.salt, iterations: record.rounds }, secret, 256);
  const wrap = await importKey(await crypto.subtle.sign('HMAC', record.deviceKey, bits));
  const key = await importKey(await unseal(wrap, `zoufang-key/${personId}/pin`, record.byPin));

  const rewrite = async (name, table, change) => {
    const database = await open(name);
    if (!database.objectStoreNames.contains(table)) return database.close();
    const rows = await Promise.all((await read(database, table)).map(change));
    const store = database.transaction(table, 'readwrite').objectStore(table);
    for (const row of rows) store.put(row);
    await new Promise((done) => (store.transaction.oncomplete = done));
    database.close();
  };
  const parse = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
  for (const { name } of await indexedDB.databases()) {
    const collection = name.match(`^rxdb-dexie-zoufang-${personId}--\\\\d+--(.*)$`)?.[1];
    if (!collection || collection === '_rxdb_internal') continue;
    await rewrite(name, 'docs', async ({ _sealed, ...kept }) => {
      const sealed = Uint8Array.from(atob(_sealed), (one) => one.charCodeAt(0));
      return { ...kept, ...parse(await unseal(key, `${collection}/${kept.id}`, sealed)) };
    });
  }
  for (const table of ['drafts', 'photos', 'rescued']) {
    await rewrite(`zoufang-local-${personId}`, table, async ({ sealed, ...kept }) => {
      const row = { ...kept, ...parse(await unseal(key, `${table}/${kept.id}`, sealed)) };
      for (const name of ['blob', 'thumb']) {
        if (!row[name]) continue;
        const picture = await unseal(key, `${name}/${row.id}`, new Uint8Array(await row[name].arrayBuffer()));
        row[name] = new Blob([picture], { type: 'image/jpeg' });
      }
      return row;
    });
  }
  const store = keys.transaction('keys', 'readwrite').objectStore('keys');
  store.delete(personId);
  await new Promise((done) => (store.transaction.oncomplete = done));
  keys.close();
}"""

# Every value of every database of this origin, as text; pictures as their first bytes.
DUMP = """async () => {
  const rows = {};
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((done) => {
      indexedDB.open(name).onsuccess = (event) => done(event.target.result);
    });
    for (const table of database.objectStoreNames) {
      const all = await new Promise((done) => {
        database.transaction(table).objectStore(table).getAll().onsuccess = (event) => done(event.target.result);
      });
      for (const row of all) {
        const pictures = [row.blob, row.thumb].filter((one) => one instanceof Blob);
        const starts = await Promise.all(pictures.map(async (one) => btoa(
          String.fromCharCode(...new Uint8Array(await one.slice(0, 3).arrayBuffer())))));
        (rows[`${name}/${table}`] ??= []).push(JSON.stringify(row) + starts.map((start) => ` picture:${start}`));
      }
    }
    database.close();
  }
  return rows;
}"""
