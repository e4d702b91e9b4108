import type { SeqRange } from '@longtake/contracts'
import type { LostCause } from '@longtake/contracts/protocol'
import { seal, unseal } from './chunk-cipher.ts'
import { sha256 } from './digest.ts'
import { withLoss } from './lost-ranges.ts'
import { lossCauseOf, type StoreFault } from './loss-cause.ts'
import { Overflow } from './overflow.ts'
import { forgetPageEnd } from './page-end.ts'
import { addRange, without } from '../ranges.ts'
import { done } from './indexed-db.ts'
import { keysOf, STORES, storeOf, withSpoolDatabase, type ChunkRecord, type ClientRecord, type PartRecord, type SpoolDatabase, type SpoolTransaction, type Store } from './spool-database.ts'
import type { SpooledReport } from '../upload/outgoing-reports.ts'
import { StoreConnection, writeTo } from './store-connection.ts'

/** What IndexedDB calls damage that will not go away. Chrome before version 130 says `DataError` of that and of a lack of memory alike. */
const DAMAGED = 'NotReadableError'
/** And to what is no fault of what was asked for. */
const INTERRUPTED: ReadonlySet<string> = new Set(['AbortError', 'InvalidStateError'])

interface Write {
  stores: readonly Store[]
  requests: (transaction: SpoolTransaction) => void
  durability?: 'strict'
}

export interface NewChunk {
  part: string
  seq: number
  payload: ArrayBuffer
  capturedAt: number
}

export interface ReadChunk {
  payload: ArrayBuffer
  sha256: Uint8Array<ArrayBuffer>
}

/**
 * One recorder's share of the browser's durable store of chunks that are not yet acknowledged. What a method has
 * written is in IndexedDB when it resolves, and outlives the page; chunks outlive a power failure, too. Only who holds
 * the client's lock may have one: what the records say is known here, and written whole.
 */
export class Spool {
  #client: ClientRecord
  readonly #key: CryptoKey
  readonly #parts: Map<string, PartRecord>
  /** Parts of which the store does not know the latest. */
  readonly #unwritten = new Set<string>()
  /** By part: chunks that may still be in the store, and leave it with the next write. */
  readonly #leavings = new Map<string, SeqRange[]>()
  readonly #overflow = new Overflow()
  #fault: StoreFault | null = null
  #moving: Promise<void> | null = null
  readonly #writes = new Set<Promise<void>>()
  readonly #store = new StoreConnection((database) => this.#introduce(database))

  private constructor(client: ClientRecord, key: CryptoKey, parts: PartRecord[]) {
    this.#client = client
    this.#key = key
    this.#parts = new Map(parts.map((part) => [part.part, part]))
  }

  /** Of a new recorder. */
  static async create(client: Pick<ClientRecord, 'session' | 'client' | 'ingestUrl' | 'startedAt'>, key: CryptoKey): Promise<Spool> {
    const keyProof = await seal(key, [client.session, client.client], new ArrayBuffer(0))
    const spool = new Spool({ ...client, stopped: false, keyProof }, key, [])
    await spool.#store.open()
    return spool
  }

  /**
   * Of a recorder whose page is gone, with the chunks that it left, by part in the order of their seq.
   * @returns `wrong-key` when nothing of it could be read with this key
   */
  static async resume(client: ClientRecord, key: CryptoKey): Promise<{ spool: Spool; parts: PartRecord[]; chunks: ChunkRecord[] } | 'wrong-key'> {
    if (client.keyProof !== null && (await unseal(key, [client.session, client.client], client.keyProof)) === undefined) return 'wrong-key'
    const [parts, chunks] = await withSpoolDatabase((database) => Promise.all([done(storeOf(database, 'parts').getAll(keysOf(client))), done(storeOf(database, 'chunks').getAll(keysOf(client)))]))
    return { spool: new Spool(client, key, parts), parts, chunks }
  }

  /** Whether there are chunks in memory that the store did not take, and that would be gone with the page. */
  get overflows(): boolean {
    return !this.#overflow.isEmpty
  }

  /** Why the store did not take the last chunk; null where it did. */
  get fault(): StoreFault | null {
    return this.#fault
  }

  async addPart(part: Pick<PartRecord, 'part' | 'track' | 'mimeType' | 'startedAt'>): Promise<void> {
    const { session, client } = this.#client
    this.#parts.set(part.part, { session, client, ...part, opened: null, acknowledged: [], lost: [], closed: null })
    this.#unwritten.add(part.part)
    await this.#write({ stores: ['parts'], requests: () => undefined })
  }

  /**
   * What the store does not take, for lack of space or a fault of its own, is kept in memory as far as that goes: who comes after this page has to count it as lost.
   * @throws when there is no room in memory either
   */
  async addChunk(chunk: NewChunk): Promise<void> {
    try {
      await this.#writeChunk(chunk)
      this.#fault = null
    } catch (error) {
      this.#fault = lossCauseOf(error)
      if (!this.#overflow.add(chunk)) throw error
      await this.noteLost(chunk.part, chunk.seq, this.#fault).catch(() => undefined)
      return
    }
    if (this.overflows) this.#moving ??= this.#moveOverflow()
  }

  /** The store takes chunks again: what waits in memory goes where it outlives the page. */
  async #moveOverflow(): Promise<void> {
    try {
      for (let chunk = this.#overflow.first; chunk !== undefined; chunk = this.#overflow.first) {
        const { part, seq } = chunk
        // It may have been acknowledged meanwhile.
        await this.#writeChunk(chunk, () => this.#overflow.read(part, seq) !== undefined)
        this.#overflow.forget(part, seq, seq)
      }
    } catch {
      // It stays where it is until the store takes a next one.
    } finally {
      this.#moving = null
    }
  }

  async #writeChunk({ part, seq, payload, capturedAt }: NewChunk, isWanted = (): boolean => true): Promise<void> {
    const sealed = await seal(this.#key, this.#at(part, seq), payload)
    const { session, client } = this.#client
    const record = { session, client, part, seq, bytes: payload.byteLength, capturedAt }
    await this.#write({
      stores: ['parts', 'chunks', 'payloads'],
      requests: (transaction) => {
        if (!isWanted()) return
        transaction.objectStore('chunks').put(record)
        transaction.objectStore('payloads').put(sealed, this.#at(part, seq))
      },
      durability: 'strict',
    })
  }

  /**
   * @returns why there is none: the store has it no more, or not as it was written, or (`unreadable`) gives all but its bytes
   * @throws when the store itself does not open or answer
   */
  async readChunk(part: string, seq: number): Promise<ReadChunk | 'spool-cleared' | 'corrupt' | 'unreadable'> {
    const overflowed = this.#overflow.read(part, seq)
    if (overflowed !== undefined) return { payload: overflowed.payload, sha256: await sha256(overflowed.payload) }
    const key = this.#at(part, seq)
    const [record, stored] = await this.#store.read(['chunks', 'payloads'], (transaction) =>
      Promise.all([done(transaction.objectStore('chunks').get(key)), done(transaction.objectStore('payloads').get(key)).catch(nameOfFault)]),
    )
    if (record === undefined || stored === undefined) return 'spool-cleared'
    if (typeof stored === 'string') return stored
    // Bytes that are not sealed are of format 1 alone: anywhere else somebody has put them there.
    if (stored instanceof ArrayBuffer && this.#client.keyProof !== null) return 'corrupt'
    const payload = stored instanceof ArrayBuffer ? stored : await unseal(this.#key, key, stored)
    if (payload === undefined) return 'corrupt'
    const digest = await sha256(payload)
    if (record.sha256 !== undefined && indexedDB.cmp(record.sha256, digest) !== 0) return 'corrupt'
    return { payload, sha256: digest }
  }

  /** Notes how the server was told of the part's start; see `PartRecord`. */
  async noteOpened(part: string, opened: NonNullable<PartRecord['opened']>): Promise<void> {
    await this.#changePart(part, () => ({ opened }))
  }

  /** Notes that a chunk could not be kept: its loss is told the server by whoever comes to it. */
  async noteLost(part: string, seq: number, cause: LostCause): Promise<void> {
    await this.#changePart(part, ({ lost }) => ({ lost: withLoss(lost, { from: seq, to: seq, cause, declared: false }) }))
  }

  /** @param outcome they are durable on the server; or, durably declared there, they are lost */
  async forgetChunks(part: string, from: number, to: number, outcome: 'acknowledged' | LostCause): Promise<void> {
    this.#remember(part, ({ acknowledged, lost }) =>
      outcome === 'acknowledged' ? { acknowledged: addRange(acknowledged, from, to) } : { lost: withLoss(lost, { from, to, cause: outcome, declared: true }) },
    )
    this.#overflow.forget(part, from, to)
    this.#leavings.set(part, addRange(this.#leavings.get(part) ?? [], from, to))
    await this.#write({ stores: ['parts', 'chunks', 'payloads'], requests: () => undefined })
  }

  async closePart(part: string, closed: { chunks: number; clean: boolean }): Promise<void> {
    await this.#changePart(part, () => ({ closed }))
  }

  /** Notes that the end of the recording was asked for. @param scope of the session, for all its clients */
  noteStopped(scope?: 'session'): Promise<void> {
    return this.#changeClient({ stopped: true, ...(scope === undefined ? {} : { scope }) })
  }

  /** Notes which reports the server does not have durably. */
  noteReports(reports: SpooledReport[]): Promise<void> {
    return this.#changeClient({ reports })
  }

  async #changeClient(change: Partial<ClientRecord>): Promise<void> {
    this.#client = { ...this.#client, ...change }
    await this.#write({ stores: ['clients'], requests: (transaction) => transaction.objectStore('clients').put(this.#client) })
  }

  /** From now on of another recorder: what there is of this one is somebody else's. */
  async rename(client: string): Promise<void> {
    this.#forgetAll()
    const keyProof = await seal(this.#key, [this.#client.session, client], new ArrayBuffer(0))
    this.#client = { ...this.#client, client, startedAt: Date.now(), keyProof }
    await this.#write({ stores: ['clients'], requests: (transaction) => transaction.objectStore('clients').put(this.#client) })
  }

  #forgetAll(): void {
    this.#parts.clear()
    this.#unwritten.clear()
    this.#leavings.clear()
    this.#overflow.clear()
  }

  /** Forgets all of this recorder. */
  async clear(): Promise<void> {
    this.#forgetAll()
    forgetPageEnd(this.#client.session, this.#client.client)
    await this.#store.write(STORES, undefined, (transaction) => {
      for (const store of STORES) transaction.objectStore(store).delete(keysOf(this.#client))
    })
  }

  /** For good, once what is being written is written. */
  async close(): Promise<void> {
    await this.#moving
    await Promise.allSettled(this.#writes)
    await this.#store.close()
  }

  #at(part: string, seq: number): [string, string, string, number] {
    return [this.#client.session, this.#client.client, part, seq]
  }

  #remember(part: string, change: (record: PartRecord) => Partial<PartRecord>): void {
    const record = this.#parts.get(part)
    if (record === undefined) return
    this.#parts.set(part, { ...record, ...change(record) })
    this.#unwritten.add(part)
  }

  async #changePart(part: string, change: (record: PartRecord) => Partial<PartRecord>): Promise<void> {
    this.#remember(part, change)
    await this.#write({ stores: ['parts'], requests: () => undefined })
  }

  /** One transaction with all that `requests` makes, and with what the store does not yet know of the parts and of chunks that leave. */
  async #write({ stores, requests, durability }: Write): Promise<void> {
    const written = this.#store.write(stores, durability, (transaction) => {
      requests(transaction)
      if (stores.includes('parts')) this.#writeParts(transaction)
      if (stores.includes('payloads')) this.#removeLeavings(transaction)
    })
    this.#writes.add(written)
    try {
      await written
    } finally {
      this.#writes.delete(written)
    }
  }

  /** What the store must know of this recorder: else nobody could make sense of its chunks. Touches all stores, since a store that takes this takes all. */
  async #introduce(database: SpoolDatabase): Promise<void> {
    for (const part of this.#parts.keys()) this.#unwritten.add(part)
    await writeTo(database, STORES, undefined, (transaction) => {
      transaction.objectStore('clients').put(this.#client)
      this.#writeParts(transaction)
    })
  }

  #writeParts(transaction: SpoolTransaction): void {
    const records = [...this.#unwritten].map((part) => this.#parts.get(part)!)
    // Until it is done others write the same: none may rest on what becomes of this one.
    transaction.addEventListener('complete', () => {
      for (const record of records) if (this.#parts.get(record.part) === record) this.#unwritten.delete(record.part)
    })
    for (const record of records) transaction.objectStore('parts').put(record)
  }

  #removeLeavings(transaction: SpoolTransaction): void {
    const leaving = [...this.#leavings]
    transaction.addEventListener('complete', () => {
      for (const [part, ranges] of leaving) {
        const rest = (this.#leavings.get(part) ?? []).flatMap((range) => without(range, ranges))
        if (rest.length === 0) this.#leavings.delete(part)
        else this.#leavings.set(part, rest)
      }
    })
    for (const [part, ranges] of leaving) {
      for (const [from, to] of ranges) {
        const range = IDBKeyRange.bound(this.#at(part, from), this.#at(part, to))
        transaction.objectStore('chunks').delete(range)
        transaction.objectStore('payloads').delete(range)
      }
    }
  }
}

/** @throws what says nothing about the bytes themselves */
function nameOfFault(error: unknown): 'corrupt' | 'unreadable' {
  if (!(error instanceof DOMException) || INTERRUPTED.has(error.name)) throw error
  return error.name === DAMAGED ? 'corrupt' : 'unreadable'
}
