import type { SeqRange } from '@longtake/contracts'
import { RecorderError } from '../api.ts'
import { inTime } from '../in-time.ts'
import type { SealedBytes } from './chunk-cipher.ts'
import { completed, done, openDatabase, type TypedDatabase, type TypedStore, type TypedTransaction } from './indexed-db.ts'
import type { SpooledReport } from '../upload/outgoing-reports.ts'
import type { LostRange } from './lost-ranges.ts'

export const SPOOL_DATABASE = 'longtake-spool'
/**
 * Of the format below. A change of it needs an upgrade step, since chunks may have waited here for weeks, and may only
 * add stores and fields: a page of the version before may be recording meanwhile, and goes on with what it knows.
 */
const FORMAT_VERSION = 2
/** A tab of format 1 does not make room, and neither an upgrade nor who waits behind one is told so for certain. */
const OPEN_PATIENCE_MS = 10_000
/** The records of a long recording are many. */
export const WORK_PATIENCE_MS = 120_000

/** One recorder of a session: a page. All times here are milliseconds since the epoch by this device's clock. */
export interface ClientRecord {
  session: string
  /** UUID. */
  client: string
  /** Where it sends to, without the client. */
  ingestUrl: string
  startedAt: number
  /** Whether the end of the recording was asked for: then a later page says it, too. */
  stopped: boolean
  /** Of that end: absent where it is that of this client's share alone. */
  scope?: 'session'
  /** Nothing, sealed: tells the right key from a wrong one. Null in format 1, whose chunks are not sealed. */
  keyProof: SealedBytes | null
  /** What the server does not have durably; absent until there was any. */
  reports?: SpooledReport[]
}

export interface PartRecord {
  session: string
  client: string
  /** UUID. */
  part: string
  track: string
  mimeType: string
  startedAt: number
  /** The start as the server was told it first, and how far the server's clock was ahead then, in milliseconds. Null until then. */
  opened: { startedAt: string; clockAheadMs: number } | null
  /** What has left the spool because it is durable on the server; what is neither here nor there nor lost is gone. */
  acknowledged: SeqRange[]
  lost: LostRange[]
  /** Its length, once its `MediaRecorder` has ended; null until then, and for ever if the page died first. */
  closed: { chunks: number; clean: boolean } | null
}

/** What there is to know of a chunk without reading its bytes, which lie in a store of their own. */
export interface ChunkRecord {
  session: string
  client: string
  part: string
  seq: number
  bytes: number
  capturedAt: number
  /** Of format 1 only; sealed bytes prove themselves, and their digest would tell whether they are a certain chunk. */
  sha256?: Uint8Array<ArrayBuffer>
}

export interface SpoolSchema {
  clients: { key: [session: string, client: string]; value: ClientRecord }
  parts: { key: [session: string, client: string, part: string]; value: PartRecord }
  chunks: { key: [session: string, client: string, part: string, seq: number]; value: ChunkRecord }
  /** An `ArrayBuffer` is of format 1: the bytes themselves. */
  payloads: { key: [session: string, client: string, part: string, seq: number]; value: SealedBytes | ArrayBuffer }
}
export type SpoolDatabase = TypedDatabase<SpoolSchema>
export type SpoolTransaction = TypedTransaction<SpoolSchema>
export type Store = keyof SpoolSchema
export const STORES: readonly Store[] = ['clients', 'parts', 'chunks', 'payloads']

/**
 * Opens the spool's database, in the format of this version or of a later one.
 * @param lost called when the connection is no longer of use, so that the next call opens another one: the browser has
 * closed it (a person cleared the site's data), or a page with a later format wants to bring it up to date
 * @throws RecorderError `spool-failed` when a tab with an older version of the page does not let go of it
 */
export async function openSpoolDatabase(lost: () => void): Promise<SpoolDatabase> {
  try {
    return await open(FORMAT_VERSION, lost)
  } catch (error) {
    // A later page was here before.
    if (error instanceof DOMException && error.name === 'VersionError') return open(undefined, lost)
    throw error
  }
}

async function open(version: number | undefined, lost: () => void): Promise<SpoolDatabase> {
  const opening = openDatabase<SpoolSchema>(SPOOL_DATABASE, version, { upgrade, lost })
  try {
    return await inTime(opening, OPEN_PATIENCE_MS, () => new RecorderError('spool-failed', 'the store does not open: if another tab still shows an older version of this page, close it'))
  } catch (error) {
    // Once it is opened after all, nobody wants it any more.
    void opening.then((database) => database.close()).catch(() => undefined)
    throw error
  }
}

function upgrade(database: IDBDatabase, from: number, transaction: IDBTransaction): void {
  if (from < 1) {
    database.createObjectStore('clients', { keyPath: ['session', 'client'] })
    database.createObjectStore('parts', { keyPath: ['session', 'client', 'part'] })
    database.createObjectStore('chunks', { keyPath: ['session', 'client', 'part', 'seq'] })
    database.createObjectStore('payloads')
    return
  }
  changeAll(transaction.objectStore('clients'), ({ finish, ...client }: ClientRecord & { finish?: unknown }) => {
    return { ...client, stopped: finish !== null && finish !== undefined, keyProof: null }
  })
  changeAll(transaction.objectStore('parts'), (part: PartRecord) => ({ ...part, opened: null, lost: [] }))
}

function changeAll<Value>(store: IDBObjectStore, change: (value: Value) => unknown): void {
  const request = store.openCursor()
  request.addEventListener('success', () => {
    const cursor = request.result
    if (cursor === null) return
    cursor.update(change(cursor.value as Value))
    cursor.continue()
  })
}

/** Opens the database for one piece of work. @throws RecorderError `spool-failed` when it does not open, or answer */
export async function withSpoolDatabase<T>(work: (database: SpoolDatabase) => Promise<T>): Promise<T> {
  const database = await openSpoolDatabase(() => undefined)
  try {
    return await inTime(work(database), WORK_PATIENCE_MS, () => new RecorderError('spool-failed', 'the store does not answer'))
  } finally {
    database.close()
  }
}

/** One store, to read from it once. */
export function storeOf<Name extends Store>(database: SpoolDatabase, name: Name): TypedStore<SpoolSchema[Name]['key'], SpoolSchema[Name]['value']> {
  return database.transaction([name], 'readonly').objectStore(name)
}

/** Everyone who left something here, in the order in which they began. */
export async function spooledClients(database: SpoolDatabase): Promise<ClientRecord[]> {
  return (await done(storeOf(database, 'clients').getAll())).toSorted((a, b) => a.startedAt - b.startedAt)
}

/** The keys of all that a recorder has here, in any of the stores. */
export function keysOf({ session, client }: Pick<ClientRecord, 'session' | 'client'>): IDBKeyRange {
  return IDBKeyRange.bound([session, client], [session, client, []])
}

export async function forgetClient(database: SpoolDatabase, client: Pick<ClientRecord, 'session' | 'client'>): Promise<void> {
  const transaction = database.transaction([...STORES], 'readwrite')
  for (const store of STORES) transaction.objectStore(store).delete(keysOf(client))
  await completed(transaction)
}
