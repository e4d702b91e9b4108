/** A gateway's HTTP polling behind `fetch`, that does what the test says. */
export class PollingGateway {
  /** The client's stream as it arrived, holes and repetitions included. */
  readonly stream: number[] = []
  readonly operations: string[] = []
  /** Of requests, in order: each is answered so instead. `lost`: carried out, and the answer gets lost. */
  next: ('refuse' | 'lost' | 'html' | { status: number; code: string })[] = []
  readonly messages: string[] = []
  closed: { code: number; reason: string } | undefined
  token = ''
  url = ''
  keepalive: boolean | undefined
  /** Polls that are held. */
  readonly #held: (() => void)[] = []
  readonly #fetch = globalThis.fetch
  #answered = 0

  constructor() {
    globalThis.fetch = ((url: string, init: RequestInit) => this.#answer(url, init)) as typeof fetch
  }

  restore(): void {
    globalThis.fetch = this.#fetch
  }

  says(message: object): void {
    this.messages.push(JSON.stringify(message))
    this.#release()
  }

  closes(code: number): void {
    this.closed = { code, reason: 'because' }
    this.#release()
  }

  /** Text frames of the client, and the length of its binary ones. */
  get frames(): (string | number)[] {
    const bytes = Buffer.from(this.stream)
    const frames: (string | number)[] = []
    for (let at = 0; at + 5 <= bytes.length; ) {
      const end = at + 5 + bytes.readUInt32BE(at + 1)
      frames.push(bytes[at] === 1 ? bytes.toString('utf8', at + 5, end) : bytes[at] === 8 ? 'close' : end - at - 5)
      at = end
    }
    return frames
  }

  async #answer(url: string, { body, signal, keepalive }: RequestInit): Promise<Response> {
    const operation = /\/http\/(\w+)\?/.exec(url)?.[1] ?? ''
    this.url = url
    this.operations.push(operation)
    const how = this.next.shift()
    if (how === 'refuse') throw new TypeError('Failed to fetch')
    if (how === 'html') return new Response('<html>blocked by your administrator</html>', { status: 200 })
    if (typeof how === 'object') return new Response(JSON.stringify({ code: how.code, message: 'no' }), { status: how.status })
    const bytes = Buffer.from(body as Uint8Array)
    const end = bytes.indexOf(10)
    const head = JSON.parse(bytes.toString('utf8', 0, end)) as { token?: string; offset: number; after: number }
    if (operation === 'send') {
      this.keepalive = keepalive
      for (const [index, byte] of bytes.subarray(end + 1).entries()) this.stream[head.offset + index] = byte
      this.#answerPings()
    }
    if (operation === 'open') this.token = head.token ?? ''
    if (operation === 'receive' && this.messages.length <= head.after && this.closed === undefined) await this.#hold(signal!)
    if (how === 'lost') throw new TypeError('Failed to fetch')
    const first = operation === 'open' ? 0 : head.after
    const answer = {
      open: { connection: 'secret', first },
      send: { received: this.stream.length },
      receive: { first, ...(this.closed === undefined ? {} : { closed: this.closed }) },
    }[operation]
    return new Response([JSON.stringify(answer), ...(operation === 'send' ? [] : this.messages.slice(first))].join('\n'))
  }

  #answerPings(): void {
    const frames = this.frames.slice(this.#answered)
    this.#answered += frames.length
    for (const frame of frames) if (typeof frame === 'string' && frame.startsWith('{"type":"ping"')) this.says({ ...(JSON.parse(frame) as object), type: 'pong' })
  }

  #hold(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#held.push(resolve)
      signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')))
    })
  }

  #release(): void {
    for (const release of this.#held.splice(0)) release()
  }
}
