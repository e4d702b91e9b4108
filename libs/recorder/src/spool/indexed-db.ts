/**
 * IndexedDB with promises and typed records, no more of it than the spool uses. It stands in for the package `idb`, whose proxies for
 * every object of the API take 1.1 KB of the 25 KB (compressed) that the recorder may have.
 */

/** By name of a store: its keys and records. */
type Schema<S> = { [Name in keyof S]: { key: IDBValidKey; value: unknown } }

export interface TypedStore<Key, Value> {
  get(key: Key): IDBRequest<Value | undefined>
  getAll(range?: IDBKeyRange): IDBRequest<Value[]>
  /** @param key of a record that does not hold its own */
  put(value: Value, key?: Key): IDBRequest<IDBValidKey>
  delete(range: IDBKeyRange): IDBRequest<undefined>
}

export interface TypedTransaction<S extends Schema<S>> extends Pick<IDBTransaction, 'abort' | 'addEventListener' | 'error'> {
  objectStore<Name extends keyof S & string>(name: Name): TypedStore<S[Name]['key'], S[Name]['value']>
}

export interface TypedDatabase<S extends Schema<S>> extends Pick<IDBDatabase, 'close'> {
  transaction(stores: (keyof S & string)[], mode: 'readonly' | 'readwrite', options?: IDBTransactionOptions): TypedTransaction<S>
}

export interface Opening {
  /**
   * Makes requests only, and waits for nothing else: what fails or throws here aborts the upgrade.
   * @param from 0 where there was no database
   */
  upgrade: (database: IDBDatabase, from: number, transaction: IDBTransaction) => void
  /** The connection is of no more use: the browser has closed it, or it was closed here because somebody wants to upgrade or delete the database. */
  lost: () => void
}

/**
 * Resolves also after `blocked`, as soon as the others let go of the database.
 * @param version undefined: the one that is there
 * @throws DOMException `VersionError` where a later one is there; `AbortError` where the upgrade failed; otherwise the browser's own error
 */
export async function openDatabase<S extends Schema<S>>(name: string, version: number | undefined, { upgrade, lost }: Opening): Promise<TypedDatabase<S>> {
  const request = indexedDB.open(name, version)
  request.addEventListener('upgradeneeded', ({ oldVersion }) => upgrade(request.result, oldVersion, request.transaction!))
  const database = await done(request)
  database.addEventListener('close', lost)
  database.addEventListener('versionchange', () => {
    lost()
    database.close()
  })
  return database
}

/** @returns the result @throws DOMException the request's error; `AbortError` where its transaction was aborted */
export function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(request.error!))
  })
}

/** @throws DOMException why it was aborted, which is the error of a request or of the commit; `AbortError` where the page did it */
export function completed(transaction: Pick<IDBTransaction, 'addEventListener' | 'error'>): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener('complete', () => resolve())
    transaction.addEventListener('abort', () => reject(transaction.error ?? new DOMException('aborted', 'AbortError')))
  })
}
