/** So often in a row, which is half a minute, a track fails over what it is before its records are tried one by one. */
const FAULTS_UNTIL_SURE = 8

/**
 * When the records of a track are tried one by one, to find those it fails over: after failures that storage and Kafka had
 * no part in, at once if something of it was parked before.
 */
export class OneByOne {
  #faults = 0
  #distrusted = false
  /** Up to this offset. */
  #to: bigint | null = null

  get isOn(): boolean {
    return this.#to !== null
  }

  /** @param last offset of the last record that came */
  failed(last: bigint): void {
    this.#faults++
    if (this.#faults < (this.#distrusted ? 1 : FAULTS_UNTIL_SURE)) return
    this.#to = last
    this.#faults = 0
  }

  committed(): void {
    this.#faults = 0
  }

  parked(): void {
    this.#distrusted = true
  }

  /** @param next offset of the record that comes next; null while there is none */
  goneOnTo(next: bigint | null): void {
    if (this.#to !== null && (next === null || next > this.#to)) this.#to = null
  }
}
