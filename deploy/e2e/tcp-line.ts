import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A line between a browser and one port of this machine that can be cut, and that can lose what comes back. */
export class TcpLine implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #state: 'whole' | 'answers-lost' | 'cut' = 'whole'

  private constructor(server: Server) {
    this.#server = server
  }

  /** @param target its port */
  static async to(target: number): Promise<TcpLine> {
    const server = createServer()
    const line = new TcpLine(server)
    server.on('connection', (client) => line.#join(client, target))
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
    this.#state = 'cut'
    for (const socket of this.#sockets) socket.destroy()
  }

  /** What the other side says gets lost from now on, for existing connections for good. */
  loseAnswers(): void {
    this.#state = 'answers-lost'
  }

  mend(): void {
    this.#state = 'whole'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
  }

  #join(client: Socket, target: number): void {
    if (this.#state === 'cut') return void client.destroy()
    const server = connect(target, '127.0.0.1')
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      // Broken lines are what this is for: the other end learns of it by its own end.
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (bytes) => server.write(bytes))
    server.on('data', (bytes) => {
      if (this.#state === 'whole') client.write(bytes)
    })
  }
}
