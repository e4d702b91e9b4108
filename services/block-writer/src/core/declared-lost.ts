import type { PartState, SeqRange } from '@longtake/contracts'
import { firstEndingAtOrAfter, insertRange } from '@longtake/domain'

type Lost = PartState['lost'][number]

/** Chunks of a part that clients declared lost. To add one costs the same however many there are. */
export class DeclaredLost {
  /** The cause that was declared last comes last. */
  readonly #byCause = new Map<Lost['cause'], SeqRange[]>()
  /** What was acknowledged may still be in Kafka: everything else. */
  readonly #forGood: SeqRange[] = []

  constructor(list: readonly Lost[] = []) {
    for (const lost of list) this.add(lost)
  }

  add({ from, to, cause }: Lost): void {
    const ranges = this.#byCause.get(cause) ?? []
    this.#byCause.delete(cause)
    this.#byCause.set(cause, ranges)
    insertRange(ranges, from, to)
    if (cause !== 'already-acknowledged') insertRange(this.#forGood, from, to)
  }

  /** The first chunk from `seq` on that may still come. */
  firstAwaited(seq: number): number {
    const lost = this.#forGood[firstEndingAtOrAfter(this.#forGood, seq)]
    return lost !== undefined && lost[0] <= seq ? lost[1] + 1 : seq
  }

  list(): Lost[] {
    return [...this.#byCause].flatMap(([cause, ranges]) => ranges.map(([from, to]) => ({ from, to, cause })))
  }
}
