import { createHash } from 'node:crypto'
import type { LostCause } from '@longtake/contracts/protocol'
import { addRange } from '../../../libs/recorder/src/ranges.ts'
import { withLoss } from '../../../libs/recorder/src/spool/lost-ranges.ts'
import type { ChunkRecord, PartRecord } from '../../../libs/recorder/src/spool/spool-database.ts'
import type { VirtualTime } from './virtual-time.ts'

interface SpooledPart {
  record: PartRecord
  readonly chunks: Map<number, { payload: Uint8Array; capturedAt: number }>
}

/** A model of the browser's store of one recorder: what a page has written survives it. */
export class SimSpool {
  readonly session: string
  readonly client: string
  stopped = false
  readonly parts = new Map<string, SpooledPart>()
  #withheld: { chunk: string | null; until: number } | null = null
  readonly #time: VirtualTime
  readonly #sendsOtherBytes: boolean
  readonly #onForgotten: (part: string, from: number, to: number) => void

  constructor(
    names: { session: string; client: string },
    time: VirtualTime,
    onAcknowledged: (part: string, from: number, to: number) => void,
    sendsOtherBytes: boolean,
  ) {
    this.#sendsOtherBytes = sendsOtherBytes
    this.session = names.session
    this.client = names.client
    this.#time = time
    this.#onForgotten = onAcknowledged
  }

  async addPart(part: { track: string; part: string; mimeType: string; startedAt: number }): Promise<void> {
    await this.#time.sleep(1)
    const { session, client } = this
    this.parts.set(part.part, {
      record: { session, client, ...part, opened: null, acknowledged: [], lost: [], closed: null },
      chunks: new Map(),
    })
  }

  async addChunk(part: string, seq: number, payload: Uint8Array, capturedAt: number): Promise<void> {
    await this.#time.sleep(2)
    this.#part(part).chunks.set(seq, { payload, capturedAt })
  }

  async closePart(part: string, closed: { chunks: number; clean: boolean }): Promise<void> {
    await this.#time.sleep(1)
    this.#part(part).record.closed = closed
  }

  async noteLost(part: string, seq: number, cause: LostCause): Promise<void> {
    await this.#time.sleep(1)
    const { record } = this.#part(part)
    record.lost = withLoss(record.lost, { from: seq, to: seq, cause, declared: false })
  }

  /** A person clears the site's data, or the browser evicts it: one chunk is gone. */
  steal(part: string, seq: number): boolean {
    return this.#part(part).chunks.delete(seq)
  }

  /** The next chunk that is asked for cannot be read for so long. */
  withhold(forMs: number): void {
    this.#withheld = { chunk: null, until: this.#time.now + forMs }
  }

  async readChunk(
    part: string,
    seq: number,
  ): Promise<{ payload: ArrayBuffer; sha256: Uint8Array } | 'spool-cleared' | 'unreadable'> {
    await this.#time.sleep(1)
    const withheld = this.#withheld
    if (withheld !== null && this.#time.now < withheld.until) {
      withheld.chunk ??= `${part}/${seq}`
      if (withheld.chunk === `${part}/${seq}`) return 'unreadable'
    }
    const chunk = this.#part(part).chunks.get(seq)
    if (chunk === undefined) return 'spool-cleared'
    const payload = new Uint8Array(chunk.payload)
    if (this.#sendsOtherBytes) payload[payload.length - 1]! ^= 1
    return { payload: payload.buffer, sha256: createHash('sha256').update(payload).digest() }
  }

  async noteOpened(part: string, opened: { startedAt: string; clockAheadMs: number }): Promise<void> {
    await this.#time.sleep(1)
    this.#part(part).record.opened = opened
  }

  async forgetChunks(part: string, from: number, to: number, outcome: 'acknowledged' | LostCause): Promise<void> {
    if (outcome === 'acknowledged') this.#onForgotten(part, from, to)
    await this.#time.sleep(2)
    const { record, chunks } = this.#part(part)
    for (let seq = from; seq <= to; seq += 1) chunks.delete(seq)
    if (outcome === 'acknowledged') record.acknowledged = addRange(record.acknowledged, from, to)
    else record.lost = withLoss(record.lost, { from, to, cause: outcome, declared: true })
  }

  /** What a later page finds of a part. */
  recordsOf(part: string): { record: PartRecord; chunks: ChunkRecord[] } {
    const { record, chunks } = this.#part(part)
    const { session, client } = this
    const found = [...chunks].toSorted(([a], [b]) => a - b)
    return {
      record,
      chunks: found.map(([seq, { payload, capturedAt }]) => ({
        session,
        client,
        part,
        seq,
        bytes: payload.length,
        capturedAt,
      })),
    }
  }

  #part(part: string): SpooledPart {
    const found = this.parts.get(part)
    if (found === undefined) throw new Error(`part ${part} was never written to the spool`)
    return found
  }
}
