// What this browser remembers, in IndexedDB, of the cases that it applied for: delivery and holder keys, whose private halves
// cannot be read out, and forms as they were filled in, so that a supplement need not ask everything again.
//   keys:  {x, pair, holder: {pair, jwk}}  by the public delivery key's x
//   forms: {hash, values, materials}  by the form's hash, materials as [{id, hash}]

function open() {
  return new Promise((done, failed) => {
    const request = indexedDB.open("lianban", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("keys", { keyPath: "x" });
      request.result.createObjectStore("forms", { keyPath: "hash" });
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

async function act(store, mode, action) {
  const database = await open();
  try {
    return await new Promise((done, failed) => {
      const transaction = database.transaction(store, mode);
      const request = action(transaction.objectStore(store));
      transaction.oncomplete = () => done(request.result);
      transaction.onabort = transaction.onerror = () => failed(transaction.error);
    });
  } finally {
    database.close();
  }
}

export const find = (store, key) => (key ? act(store, "readonly", (records) => records.get(key)) : undefined);
export const keep = (store, record) => act(store, "readwrite", (records) => records.put(record));
export const forget = (store, key) => act(store, "readwrite", (records) => records.delete(key));
