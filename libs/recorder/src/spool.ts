import { openDB, type DBSchema, type IDBPDatabase } from 'idb'
import type { SeqRange } from '@longtake/contracts'
import { isQuotaError, Overflow } from './overflow.ts'
import { addRange } from './ranges.ts'

export const SPOOL_DATABASE = 'longtake-spool'
/** Of the format below. A change of it needs an upgrade step: chunks may have waited here for weeks. */
const FORMAT_VERSION = 1

/** One recorder of a session: a page. */
export interface ClientRecord {
  session: string
  /** UUID. */
  client: string
  /** Where it sends to, without the client. */
  ingestUrl: string
  /** Milliseconds since the epoch, like all times here by this device's clock. */
  startedAt: number
  /** All parts by track, once recording has ended; null until then. */
  finish: Record<string, string[]> | null
}

export interface PartRecord {
  session: string
  client: string
  /** UUID. */
  part: string
  track: string
  mimeType: string
  startedAt: number
  /** What has left the spool because it is durable on the server; what is neither here nor there is gone. */
  acknowledged: SeqRange[]
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
  sha256: Uint8Array<ArrayBuffer>
  capturedAt: number
}

interface SpoolSchema extends DBSchema {
  clients: { key: [session: string, client: string]; value: ClientRecord }
  parts: { key: [session: string, client: string, part: string]; value: PartRecord }
  chunks: { key: [session: string, client: string, part: string, seq: number]; value: ChunkRecord }
  payloads: { key: [session: string, client: string, part: string, seq: number]; value: ArrayBuffer }
}

export interface NewChunk {
  part: string
  seq: number
  payload: ArrayBuffer
  sha256: Uint8Array<ArrayBuffer>
  capturedAt: number
}

/**
 * One recorder's share of the browser's durable store of chunks that are not yet acknowledged. What a method has
 * written is in IndexedDB when it resolves, and outlives the page; chunks outlive a power failure, too.
 */
export class Spool {
  readonly #session: string
  readonly #client: string
  readonly #overflow = new Overflow()
  #database: Promise<IDBPDatabase<SpoolSchema>> | null = null

  private constructor(session: string, client: string) {
    this.#session = session
    this.#client = client
  }

  static async open({ session, client, ingestUrl, startedAt }: Omit<ClientRecord, 'finish'>): Promise<Spool> {
    const spool = new Spool(session, client)
    const database = await spool.#open()
    await database.put('clients', { session, client, ingestUrl, startedAt, finish: null })
    return spool
  }

  async addPart(part: Pick<PartRecord, 'part' | 'track' | 'mimeType' | 'startedAt'>): Promise<void> {
    const database = await this.#open()
    await database.put('parts', { session: this.#session, client: this.#client, ...part, acknowledged: [], closed: null })
  }

  /** Where the store has no space, a few chunks are kept in memory. */
  async addChunk(chunk: NewChunk): Promise<void> {
    try {
      await this.#writeChunk(chunk)
    } catch (error) {
      if (!isQuotaError(error) || !this.#overflow.add(chunk)) throw error
    }
  }

  async #writeChunk({ part, seq, payload, sha256, capturedAt }: NewChunk): Promise<void> {
    const database = await this.#open()
    const transaction = database.transaction(['chunks', 'payloads'], 'readwrite', { durability: 'strict' })
    const record = { session: this.#session, client: this.#client, part, seq, bytes: payload.byteLength, sha256, capturedAt }
    await Promise.all([
      transaction.objectStore('chunks').put(record),
      transaction.objectStore('payloads').put(payload, this.#key(part, seq)),
      transaction.done,
    ])
  }

  /** Undefined if the store has it no more. */
  async readChunk(part: string, seq: number): Promise<NewChunk | undefined> {
    const overflowed = this.#overflow.read(part, seq)
    if (overflowed !== undefined) return overflowed
    const database = await this.#open()
    const transaction = database.transaction(['chunks', 'payloads'])
    const [record, payload] = await Promise.all([
      transaction.objectStore('chunks').get(this.#key(part, seq)),
      transaction.objectStore('payloads').get(this.#key(part, seq)),
      transaction.done,
    ])
    if (record === undefined || payload === undefined) return undefined
    return { part, seq, payload, sha256: record.sha256, capturedAt: record.capturedAt }
  }

  /** @param acknowledged they are durable on the server; false: they are declared lost there */
  async forgetChunks(part: string, from: number, to: number, acknowledged: boolean): Promise<void> {
    this.#overflow.forget(part, from, to)
    const database = await this.#open()
    const transaction = database.transaction(['parts', 'chunks', 'payloads'], 'readwrite')
    const range = IDBKeyRange.bound(this.#key(part, from), this.#key(part, to))
    const noteAcknowledged = async (): Promise<void> => {
      const parts = transaction.objectStore('parts')
      const record = await parts.get([this.#session, this.#client, part])
      if (record !== undefined) await parts.put({ ...record, acknowledged: addRange(record.acknowledged, from, to) })
    }
    await Promise.all([
      transaction.objectStore('chunks').delete(range),
      transaction.objectStore('payloads').delete(range),
      acknowledged ? noteAcknowledged() : undefined,
      transaction.done,
    ])
  }

  async closePart(part: string, closed: { chunks: number; clean: boolean }): Promise<void> {
    const database = await this.#open()
    const transaction = database.transaction('parts', 'readwrite')
    const record = await transaction.store.get([this.#session, this.#client, part])
    if (record !== undefined) await transaction.store.put({ ...record, closed })
    await transaction.done
  }

  async finish(parts: Record<string, string[]>): Promise<void> {
    const database = await this.#open()
    const transaction = database.transaction('clients', 'readwrite')
    const record = await transaction.store.get([this.#session, this.#client])
    if (record !== undefined) await transaction.store.put({ ...record, finish: parts })
    await transaction.done
  }

  /** Forgets all of this recorder. */
  async clear(): Promise<void> {
    const database = await this.#open()
    const transaction = database.transaction(['clients', 'parts', 'chunks', 'payloads'], 'readwrite')
    const all = IDBKeyRange.bound([this.#session, this.#client], [this.#session, this.#client, []])
    await Promise.all([
      ...(['clients', 'parts', 'chunks', 'payloads'] as const).map((store) => transaction.objectStore(store).delete(all)),
      transaction.done,
    ])
  }

  async close(): Promise<void> {
    const database = await this.#database
    this.#database = null
    database?.close()
  }

  #key(part: string, seq: number): [string, string, string, number] {
    return [this.#session, this.#client, part, seq]
  }

  #open(): Promise<IDBPDatabase<SpoolSchema>> {
    this.#database ??= openDB<SpoolSchema>(SPOOL_DATABASE, FORMAT_VERSION, {
      upgrade(database) {
        database.createObjectStore('clients', { keyPath: ['session', 'client'] })
        database.createObjectStore('parts', { keyPath: ['session', 'client', 'part'] })
        database.createObjectStore('chunks', { keyPath: ['session', 'client', 'part', 'seq'] })
        database.createObjectStore('payloads')
      },
      // The browser closed it, as when a person clears the site's data: the next call opens a new one.
      terminated: () => {
        this.#database = null
      },
    }).catch((error: unknown) => {
      this.#database = null
      throw error
    })
    return this.#database
  }
}
