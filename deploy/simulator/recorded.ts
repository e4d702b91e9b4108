import { createHash } from 'node:crypto'
import type { PartLedger } from '@longtake/testkit'
import type { LoggedPart } from './observer.ts'

interface RecordedPart {
  readonly track: string
  readonly part: string
  readonly mimeType: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

interface Known extends RecordedPart {
  readonly made: Map<number, Uint8Array>
  /** Chunks that their page was told are kept. */
  readonly acknowledged: Set<number>
}

/** What pages recorded, whatever became of it. */
export class Recorded {
  readonly #parts = new Map<string, Known>()
  readonly #variants = new Map<string, number>()

  opened(part: RecordedPart): void {
    this.#parts.set(part.part, { ...part, made: new Map(), acknowledged: new Set() })
  }

  made(part: string, seq: number, bytes: Uint8Array): void {
    this.#parts.get(part)?.made.set(seq, bytes)
  }

  acknowledged(part: string, seq: number): void {
    this.#parts.get(part)?.acknowledged.add(seq)
  }

  /** Of media that no other part of the session has. */
  nextVariant(session: string): number {
    const variant = this.#variants.get(session) ?? 0
    this.#variants.set(session, variant + 1)
    return variant
  }

  /** In hex; undefined for a chunk that was never made. */
  digestOf(part: string, seq: number): string | undefined {
    const bytes = this.#parts.get(part)?.made.get(seq)
    return bytes === undefined ? undefined : digestOf(bytes)
  }

  /** What there is to compare a part with: Kafka's word of it, and the bytes that its page made. */
  ledger({ part, chunks, closed, lost }: LoggedPart): PartLedger[] {
    const known = this.#parts.get(part)
    if (known === undefined) return []
    const acknowledged = new Map([...known.made].filter(([seq]) => chunks.has(seq) || known.acknowledged.has(seq)))
    // Kafka shows exactly what came: of a chunk that its page lost as it died nobody can know.
    const made = acknowledged
    return [{ ...known, startedAt: new Date(known.startedAt).toISOString(), made, acknowledged, closed, lost }]
  }
}

const digests = new WeakMap<Uint8Array, string>()

/** Media is shared by many runs, so each chunk is digested once. */
function digestOf(bytes: Uint8Array): string {
  let digest = digests.get(bytes)
  if (digest === undefined) digests.set(bytes, (digest = createHash('sha256').update(bytes).digest('hex')))
  return digest
}
