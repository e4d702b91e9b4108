import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

type Direction = 'requests' | 'answers'
type State = { kind: 'whole' | 'cut' } | { kind: 'lossy'; direction: Direction } | { kind: 'slow'; delayMs: number } | { kind: 'narrow'; bytesPerSecond: number }

/** How much is passed on at once while the line is narrow. */
const NARROW_PIECE = 4096

/** A line to one port of this machine, or to several in turn, on which what befalls networks can be staged. */
export class TcpLine implements AsyncDisposable {
  readonly #server: Server
  readonly #targets: readonly number[]
  readonly #sockets = new Set<Socket>()
  /** Of each connection, in which directions everything gets lost. */
  readonly #losses = new Set<Set<Direction>>()
  #state: State = { kind: 'whole' }
  #made = 0

  private constructor(server: Server, targets: readonly number[]) {
    this.#server = server
    this.#targets = targets
  }

  /** @param targets ports; several share the connections */
  static async to(...targets: number[]): Promise<TcpLine> {
    const server = createServer()
    const line = new TcpLine(server, targets)
    server.on('connection', (client) => line.#join(client))
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    return line
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** All connections break, and none can be made. */
  cut(): void {
    this.#state = { kind: 'cut' }
    for (const socket of this.#sockets) socket.destroy()
  }

  /** What the other side says gets lost from now on, for existing connections for good. */
  loseAnswers(): void {
    this.#lose('answers')
  }

  /** What is said to the other side gets lost, its end as well: nobody there learns that a connection is over. */
  loseRequests(): void {
    this.#lose('requests')
  }

  /** Everything arrives so much later. */
  slow(delayMs: number): void {
    this.#state = { kind: 'slow', delayMs }
  }

  /** Each connection passes so much on, in each direction. */
  narrow(bytesPerSecond: number): void {
    this.#state = { kind: 'narrow', bytesPerSecond }
  }

  mend(): void {
    this.#state = { kind: 'whole' }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
  }

  #lose(direction: Direction): void {
    this.#state = { kind: 'lossy', direction }
    for (const lost of this.#losses) lost.add(direction)
  }

  #join(client: Socket): void {
    if (this.#state.kind === 'cut') return void client.destroy()
    const server = connect({ port: this.#targets[this.#made++ % this.#targets.length] ?? 0, host: '127.0.0.1' })
    for (const socket of [client, server]) {
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      // Broken lines are what this is for: the other end learns of it by its own end.
      socket.on('error', () => undefined)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    const lost = new Set<Direction>(this.#state.kind === 'lossy' ? [this.#state.direction] : [])
    this.#losses.add(lost)
    void Promise.all([this.#carry(client, server, 'requests', lost), this.#carry(server, client, 'answers', lost)]).then(() => this.#losses.delete(lost))
  }

  /** Passes on what comes `from` until it ends, and then its end, unless that direction is lost. */
  async #carry(from: Socket, to: Socket, direction: Direction, lost: ReadonlySet<Direction>): Promise<void> {
    try {
      for await (const bytes of from as AsyncIterable<Buffer>) if (!lost.has(direction)) await this.#pass(bytes, to)
    } catch {
      // The connection broke; what follows is the same as at its end.
    }
    if (lost.has(direction)) return
    if (from.errored === null && !to.destroyed) to.end()
    else to.destroy()
  }

  async #pass(bytes: Buffer, to: Socket): Promise<void> {
    const state = this.#state
    if (state.kind === 'slow') await delay(state.delayMs)
    for (let at = 0; at < bytes.length;) {
      // Looked at anew each time: what waits in a narrow line flows when it is mended.
      const now = this.#state
      const piece = now.kind === 'narrow' ? bytes.subarray(at, at + NARROW_PIECE) : bytes.subarray(at)
      if (now.kind === 'narrow') await delay((piece.length / now.bytesPerSecond) * 1000)
      if (to.destroyed) return
      if (!to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')])
      at += piece.length
    }
  }
}
