import type { ServerMessageOf } from '@longtake/contracts'

/** Gathers durable chunks and names exactly them, runs of seqs as one range. */
export class Acks {
  readonly #durable = new Map<number, Set<number>>()

  add(handle: number, seq: number): void {
    const seqs = this.#durable.get(handle)
    if (seqs === undefined) this.#durable.set(handle, new Set([seq]))
    else seqs.add(seq)
  }

  /** What was added since the last call. */
  take(): ServerMessageOf<'ack'>[] {
    const acks: ServerMessageOf<'ack'>[] = []
    for (const [handle, seqs] of this.#durable) {
      let last: ServerMessageOf<'ack'> | undefined
      for (const seq of [...seqs].toSorted((a, b) => a - b)) {
        if (last?.to === seq - 1) last.to = seq
        else acks.push((last = { type: 'ack', handle, from: seq, to: seq }))
      }
    }
    this.#durable.clear()
    return acks
  }
}
