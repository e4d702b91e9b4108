import { sha256 } from 'k6/crypto'
import { WebSocket } from 'k6/websockets'

const HEADER_BYTES = 48
/** Close codes after which a recorder connects again; after the others it must not. */
const RECONNECT = [1001, 1006, 1011, 1012, 4429]
const MAX_RECONNECTS = 20
const digests = new Map()

/**
 * A recorder on the wire, protocol v1: keeps within the window, forgets a chunk only when it is acknowledged, connects
 * again and sends the rest anew. `on` is told `acknowledged(ms, bytes)`, `violation(text)` and `reconnected()`.
 */
export class WireClient {
  constructor({ url, token, on }) {
    this.address = `${url}?client=${crypto.randomUUID()}`
    this.token = token
    this.on = on
    this.parts = []
    this.queue = []
    this.inFlightBytes = 0
    this.windowBytes = 0
    this.ready = false
    this.reconnects = 0
    this.declarations = []
    this.waiting = new Set()
    this.fatal = null
    this.ended = false
  }

  /** Resolves at the server's welcome. */
  async connect() {
    this.dial()
    await this.until('welcome', () => this.ready, 30_000)
  }

  /** At most 256 of them, as handles are bytes. */
  openPart({ track, mimeType, startedAt }) {
    const part = { id: crypto.randomUUID(), handle: this.parts.length, track, mimeType, startedAt: new Date(startedAt).toISOString(), made: 0, unacknowledged: new Map() }
    this.parts.push(part)
    this.sayOpen(part)
    return part
  }

  /** Takes a chunk as the recorder made it; it leaves when the window has room. */
  record(part, payload, capturedAt) {
    const chunk = { part, seq: part.made, payload, capturedAt, madeAt: Date.now(), sent: false }
    part.made += 1
    part.unacknowledged.set(chunk.seq, chunk)
    this.queue.push(chunk)
    this.pump()
  }

  /** Resolves when all that was recorded of the part is acknowledged and its end is durable. */
  async closePart(part, timeoutMs) {
    await this.until(`acknowledgements of ${part.track}`, () => part.unacknowledged.size === 0, timeoutMs)
    await this.declare({ type: 'close', track: part.track, part: part.id, chunks: part.made, clean: true }, timeoutMs)
  }

  async finish(timeoutMs) {
    const parts = {}
    for (const { track, id } of this.parts) (parts[track] ??= []).push(id)
    await this.declare({ type: 'finish', parts }, timeoutMs)
  }

  end() {
    this.ended = true
    clearInterval(this.pinging)
    if (this.socket) this.socket.close(1000)
  }

  dial() {
    const headers = { Authorization: `Bearer ${this.token}`, 'Sec-WebSocket-Protocol': 'longtake.v1' }
    const socket = new WebSocket(this.address, null, { headers, tags: { name: 'ingest' } })
    this.socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onmessage = ({ data }) => socket === this.socket && this.receive(JSON.parse(data))
    socket.onerror = ({ error }) => {
      this.lastError = String(error)
    }
    socket.onclose = ({ code }) => this.closed(socket, code ?? 1006)
  }

  closed(socket, code) {
    if (socket !== this.socket || this.ended) return
    this.ready = false
    clearInterval(this.pinging)
    if (!RECONNECT.includes(code) || this.reconnects >= MAX_RECONNECTS) return this.fail(`the connection ended with ${code} (${this.lastError ?? 'no reason'})`)
    this.reconnects += 1
    this.on.reconnected()
    setTimeout(() => this.ended || this.dial(), code === 1012 ? 0 : Math.min(10_000, 250 * 2 ** this.reconnects))
  }

  receive(message) {
    switch (message.type) {
      case 'welcome':
        this.welcomed(message)
        break
      case 'window':
        this.windowBytes = message.windowBytes
        break
      case 'ack':
        this.acknowledged(message)
        break
      case 'durable':
        this.durable(message)
        break
      case 'resend':
        this.resend(message)
        break
      case 'error':
        this.lastError = `${message.code}: ${message.message}`
        break
    }
    this.pump()
    this.look()
  }

  welcomed({ windowBytes, heartbeatMs }) {
    this.windowBytes = windowBytes
    this.ready = true
    // Whatever was on its way on an earlier connection counts as not sent.
    this.inFlightBytes = 0
    this.queue = this.parts.flatMap(({ unacknowledged }) => [...unacknowledged.values()])
    for (const chunk of this.queue) chunk.sent = false
    for (const part of this.parts) this.sayOpen(part)
    for (const { message } of this.declarations) this.say(message)
    this.pinging = setInterval(() => this.say({ type: 'ping', t: Date.now() }), heartbeatMs)
  }

  acknowledged({ handle, from, to }) {
    const part = this.parts[handle]
    for (let seq = from; seq <= to; seq += 1) {
      const chunk = part?.unacknowledged.get(seq)
      if (!chunk?.sent) {
        this.on.violation(`chunk ${seq} of handle ${handle} is acknowledged, which was not sent or is so already`)
        continue
      }
      part.unacknowledged.delete(seq)
      this.inFlightBytes -= chunk.payload.byteLength
      this.on.acknowledged(Date.now() - chunk.madeAt, chunk.payload.byteLength)
    }
  }

  durable({ of, track, part }) {
    // An `open` is answered as well, and nothing waits for that.
    this.declarations = this.declarations.filter(({ message }) => !(message.type === of && message.track === track && message.part === part))
  }

  /** Of what is acknowledged nothing is kept, as in a browser. */
  resend({ track, part: id, from, to }) {
    const part = this.parts.find((one) => one.id === id)
    for (let seq = from; seq <= to; seq += 1) {
      if (part !== undefined && seq < part.made && !part.unacknowledged.has(seq)) this.say({ type: 'lost', track, part: id, from: seq, to: seq, cause: 'already-acknowledged' })
    }
  }

  sayOpen({ handle, track, id, mimeType, startedAt }) {
    this.say({ type: 'open', handle, track, part: id, mimeType, startedAt })
  }

  async declare(message, timeoutMs) {
    const declaration = { message }
    this.declarations.push(declaration)
    this.say(message)
    await this.until(`durable ${message.type}`, () => !this.declarations.includes(declaration), timeoutMs)
  }

  say(message) {
    if (this.ready) this.socket.send(JSON.stringify(message))
  }

  pump() {
    while (this.ready && this.queue.length > 0) {
      const [chunk] = this.queue
      const bytes = chunk.payload.byteLength
      if (this.inFlightBytes > 0 && this.inFlightBytes + bytes > this.windowBytes) return
      this.queue.shift()
      chunk.sent = true
      this.inFlightBytes += bytes
      this.socket.send(frameOf(chunk))
    }
  }

  fail(reason) {
    this.fatal ??= new Error(reason)
    this.look()
  }

  look() {
    for (const look of this.waiting) look()
  }

  until(what, holds, timeoutMs) {
    return new Promise((resolve, reject) => {
      const settle = (end) => {
        clearTimeout(timer)
        this.waiting.delete(look)
        end()
      }
      const look = () => {
        if (holds()) settle(resolve)
        else if (this.fatal) settle(() => reject(this.fatal))
      }
      const timer = setTimeout(() => settle(() => reject(new Error(`waited ${timeoutMs} ms in vain for ${what} (${this.lastError ?? 'no error was told'})`))), timeoutMs)
      this.waiting.add(look)
      look()
    })
  }
}

/** u8 kind 1 · u8 handle · u16 zero · u32 seq · u64 capturedAt · 32 bytes SHA-256 · payload; big-endian. */
function frameOf({ part, seq, payload, capturedAt }) {
  const frame = new Uint8Array(HEADER_BYTES + payload.byteLength)
  const view = new DataView(frame.buffer)
  view.setUint8(0, 1)
  view.setUint8(1, part.handle)
  view.setUint32(4, seq)
  view.setUint32(8, Math.floor(capturedAt / 2 ** 32))
  view.setUint32(12, capturedAt % 2 ** 32)
  frame.set(digestOf(payload), 16)
  frame.set(new Uint8Array(payload), HEADER_BYTES)
  return frame.buffer
}

/** The same few chunks are sent again and again: k6's own CPU is not what is measured. */
function digestOf(payload) {
  let digest = digests.get(payload)
  if (digest === undefined) digests.set(payload, (digest = new Uint8Array(sha256(payload, 'binary'))))
  return digest
}
