import { DEFAULT_MAX_CHUNK_BYTES, MAX_HANDLE } from '@longtake/contracts/protocol'
import type { RecorderProgress } from '../api.ts'
import { progressByTrack } from '../progress.ts'
import type { Action } from './action.ts'
import type { ServerClock } from './clock.ts'
import type { OutgoingPart } from './outgoing-part.ts'

/** A welcome cannot say 0, so a window of one byte says it: nothing may be sent. Wider ones let a chunk pass alone. */
const CLOSED_WINDOW_BYTES = 1
/** Servers bound the number of unsettled messages, too, whatever their size. */
const MAX_IN_FLIGHT_CHUNKS = 1024

/** All parts of a session: which of them this connection has a handle for, and what is sent next as far as its window goes. */
export class OutgoingParts {
  readonly #clock: ServerClock
  readonly #parts = new Map<string, OutgoingPart>()
  #handles = new Map<number, OutgoingPart>()
  windowBytes = 0
  /** `one`: a chunk at a time, whatever the window; `none`: not even that. */
  pace: 'window' | 'one' | 'none' = 'window'
  maxChunkBytes = DEFAULT_MAX_CHUNK_BYTES

  constructor(clock: ServerClock) {
    this.#clock = clock
  }

  /** When the oldest chunk was captured that only this computer has; null if there is none. */
  get oldestWaitingAt(): number | null {
    const oldest = [...this.#parts.values()].flatMap(({ oldestWaitingAt }) => oldestWaitingAt ?? [])
    return oldest.length === 0 ? null : Math.min(...oldest)
  }

  get largestInFlight(): number {
    return Math.max(0, ...[...this.#handles.values()].map((part) => part.largestInFlight))
  }

  get allSettled(): boolean {
    return [...this.#parts.values()].every((part) => part.settled)
  }

  get progress(): RecorderProgress {
    return progressByTrack(this.#parts.values())
  }

  /** The names of each track's parts, in the order in which they were opened. */
  get byTrack(): Record<string, string[]> {
    const tracks: Record<string, string[]> = {}
    for (const { track, part } of this.#parts.values()) (tracks[track] ??= []).push(part)
    return tracks
  }

  /** Handles are bound for a connection's life: when all are used up by parts that are done, another connection has new ones. */
  get isOutOfHandles(): boolean {
    if (this.#handles.size <= MAX_HANDLE) return false
    const wanting = [...this.#parts.values()].some((part) => part.wantsHandle)
    const bound = [...this.#handles.values()]
    // All that can be done on this connection is done first: what is in flight when it ends is sent once more.
    return wanting && bound.some((part) => part.isIdle) && bound.every((part) => part.isIdle || part.closed === null)
  }

  add(part: OutgoingPart): void {
    this.#parts.set(part.part, part)
  }

  /** All but those of which nothing is left to do. */
  drop(): void {
    for (const [name, part] of this.#parts) if (!part.settled) this.#parts.delete(name)
    this.#handles.clear()
  }

  find(part: string): OutgoingPart | undefined {
    return this.#parts.get(part)
  }

  ofHandle(handle: number): OutgoingPart | undefined {
    return this.#handles.get(handle)
  }

  /** @returns whether chunks wait again that were delayed */
  retryDelayed(now: number): boolean {
    return [...this.#parts.values()].filter((part) => part.retryDelayed(now)).length > 0
  }

  disconnected(): void {
    this.#handles = new Map()
    for (const part of this.#parts.values()) part.disconnected()
  }

  /** Those that want a handle, as far as there are any. */
  open(): Action[] {
    const actions: Action[] = []
    for (const part of this.#parts.values()) {
      if (!part.wantsHandle || this.#handles.size > MAX_HANDLE) continue
      const handle = this.#handles.size
      this.#handles.set(handle, part)
      const isFirst = part.startedAtSaid === null
      const message = part.openMessage(handle, this.#clock.toServerIso(part.startedAt))
      if (isFirst) actions.push({ do: 'note-opened', part: part.part, startedAt: message.startedAt, clockAheadMs: this.#clock.aheadMs })
      actions.push({ do: 'send', message })
    }
    return actions
  }

  /** Oldest first, over all tracks, as far as the window goes. */
  sendChunks(): Action[] {
    const actions: Action[] = []
    for (let part = this.#oldest(); part !== undefined; part = this.#oldest()) {
      const next = part.waiting.first()!
      if (next.bytes > this.maxChunkBytes) {
        part.giveUp(next.seq, 'too-large')
        continue
      }
      if (!this.#fits(next.bytes)) break
      part.send()
      actions.push({ do: 'send-chunk', handle: part.handle!, part: part.part, seq: next.seq, capturedAt: this.#clock.toServer(next.capturedAt, part.clockAheadMs) })
    }
    return actions
  }

  sayLosses(): Action[] {
    return [...this.#parts.values()].flatMap((part) => part.lostMessages()).map((message) => ({ do: 'send', message }))
  }

  /** Of all that are closed and not known to be so on the server. */
  sayCloses(): Action[] {
    return [...this.#parts.values()].flatMap((part) => part.closeMessage() ?? []).map((message) => ({ do: 'send', message }))
  }

  #oldest(): OutgoingPart | undefined {
    let oldest: OutgoingPart | undefined
    for (const part of this.#handles.values()) {
      const first = part.waiting.first()
      if (first !== undefined && first.capturedAt < (oldest?.waiting.first()?.capturedAt ?? Infinity)) oldest = part
    }
    return oldest
  }

  #fits(bytes: number): boolean {
    const inFlight = [...this.#handles.values()].map((part) => part.inFlight)
    const chunks = inFlight.reduce((sum, amount) => sum + amount.chunks, 0)
    if (this.windowBytes <= CLOSED_WINDOW_BYTES || chunks >= MAX_IN_FLIGHT_CHUNKS || this.pace === 'none') return false
    return chunks === 0 || (this.pace === 'window' && inFlight.reduce((sum, amount) => sum + amount.bytes, bytes) <= this.windowBytes)
  }
}
