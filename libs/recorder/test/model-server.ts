import assert from 'node:assert/strict'
import type { ClientMessage, ServerMessage } from '@longtake/contracts'

export const PARTS = ['webcam', 'screen', 'phone'].map((track, index) => ({
  track,
  part: `00000000-0000-4000-8000-00000000000${index}`,
  mimeType: 'video/webm',
  startedAt: 1000 + index,
}))
export const id = (part: string, seq: number): string => `${part}/${seq}`

/** A server that takes what it gets, in its own time, and may drop the connection at any moment. */
export class ModelServer {
  readonly durable = new Set<string>()
  readonly declaredLost = new Set<string>()
  readonly opens = new Set<string>()
  readonly closes = new Map<string, number>()
  finished: string[][] | null = null
  windowBytes: number
  /** What was received and is not durable yet, in no order that a client may rely on. */
  pipeline: { message?: ClientMessage; chunk?: { handle: number; part: string; seq: number; bytes: number } }[] = []
  toClient: ServerMessage[] = []
  readonly #handles = new Map<number, string>()
  readonly #corrupt: ReadonlySet<string>

  constructor(windowBytes: number, corrupt: ReadonlySet<string>) {
    this.windowBytes = windowBytes
    this.#corrupt = corrupt
  }

  connect(): void {
    this.toClient = [{ type: 'welcome', session: 's', serverTime: new Date(5000).toISOString(), maxChunkBytes: 200, windowBytes: this.windowBytes, heartbeatMs: 10_000 }]
  }

  receive(message: ClientMessage): void {
    if (message.type === 'open') {
      assert.ok(!this.#handles.has(message.handle), 'a handle is bound once')
      this.#handles.set(message.handle, message.part)
    }
    this.pipeline.push({ message })
  }

  receiveChunk(chunk: { handle: number; part: string; seq: number; bytes: number }): 'taken' | 'refused' {
    assert.equal(this.#handles.get(chunk.handle), chunk.part, 'a chunk comes on the handle of its part')
    const held = this.pipeline.reduce((sum, entry) => sum + (entry.chunk?.bytes ?? 0), 0)
    assert.ok(held === 0 || held + chunk.bytes <= this.windowBytes, 'the window is obeyed')
    if (this.#corrupt.has(id(chunk.part, chunk.seq))) {
      const track = PARTS.find(({ part }) => part === chunk.part)!.track
      this.toClient.push({ type: 'error', code: 'REC_DIGEST_MISMATCH', message: '', track, part: chunk.part, seq: chunk.seq })
      return 'refused'
    }
    this.pipeline.push({ chunk })
    return 'taken'
  }

  /** Makes one of what was received durable; `answered` false: the connection ends before the answer is sent. */
  settle(which: number, answered = true): void {
    const [entry] = this.pipeline.splice(which % Math.max(1, this.pipeline.length), 1)
    if (entry?.chunk !== undefined) {
      const { handle, part, seq } = entry.chunk
      this.durable.add(id(part, seq))
      if (answered) this.toClient.push({ type: 'ack', handle, from: seq, to: seq })
    }
    if (entry?.message !== undefined) this.#settleMessage(entry.message, answered)
  }

  cut(kept: boolean): void {
    if (kept) while (this.pipeline.length > 0) this.settle(0, false)
    this.pipeline = []
    this.toClient = []
    this.#handles.clear()
  }

  #settleMessage(message: ClientMessage, answered: boolean): void {
    switch (message.type) {
      case 'open':
        this.opens.add(message.part)
        break
      case 'close':
        this.closes.set(message.part, message.chunks)
        break
      case 'lost':
        if (message.cause === 'already-acknowledged') for (let seq = message.from; seq <= message.to; seq++) assert.ok(this.durable.has(id(message.part, seq)), 'what is called acknowledged is durable')
        else for (let seq = message.from; seq <= message.to; seq++) this.declaredLost.add(id(message.part, seq))
        break
      case 'finish':
        this.finished = Object.values(message.parts)
        break
      default:
    }
    if (!answered || message.type === 'ping' || message.type === 'report') return
    if (message.type === 'finish') this.toClient.push({ type: 'durable', of: 'finish' })
    else this.toClient.push({ type: 'durable', of: message.type, track: message.track, part: message.part })
  }
}
