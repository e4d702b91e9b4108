import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { VirtualTime } from './virtual-time.ts'

const BUFFERED_NUMBERS = 1024

/** The digest of everything that happens, and, when asked for, its story line by line. */
export class Trace {
  readonly #time: VirtualTime
  readonly #write: ((line: string) => void) | undefined
  readonly #hash = createHash('sha256')
  readonly #numbers = new Float64Array(BUFFERED_NUMBERS)
  #used = 0

  /** @param write receives each line of the story; without it none is made */
  constructor(time: VirtualTime, write?: (line: string) => void) {
    this.#time = time
    this.#write = write
  }

  get hasReader(): boolean {
    return this.#write !== undefined
  }

  /** Adds an event with its bytes to the digest. */
  note(kind: number, size: number, bytes?: Uint8Array): void {
    if (this.#used + 4 > BUFFERED_NUMBERS) this.#flush()
    this.#numbers[this.#used++] = this.#time.now
    this.#numbers[this.#used++] = kind
    this.#numbers[this.#used++] = size
    this.#numbers[this.#used++] = bytes === undefined ? 0 : crc32(bytes)
  }

  /** Adds a line to the story. */
  line(who: string, what: string): void {
    this.#write?.(`${formatTime(this.#time.now)}  ${who.padEnd(16)} ${what}`)
  }

  digest(): string {
    this.#flush()
    return this.#hash.copy().digest('hex')
  }

  #flush(): void {
    this.#hash.update(new Uint8Array(this.#numbers.buffer, 0, this.#used * Float64Array.BYTES_PER_ELEMENT))
    this.#used = 0
  }
}

/** Kinds of events in the digest. */
export const EVENTS = { request: 1, response: 2, blob: 3, frame: 4, fault: 5 } as const

/** `hh:mm:ss.mmm` since the beginning. */
export function formatTime(ms: number): string {
  const whole = Math.floor(ms)
  const two = (value: number): string => String(value).padStart(2, '0')
  const hours = two(Math.floor(whole / 3_600_000))
  const minutes = two(Math.floor(whole / 60_000) % 60)
  return `${hours}:${minutes}:${two(Math.floor(whole / 1000) % 60)}.${String(whole % 1000).padStart(3, '0')}`
}
