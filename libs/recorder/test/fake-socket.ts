/** A socket that does what the test says. */
export class FakeSocket extends EventTarget {
  static readonly OPEN = 1
  static all: FakeSocket[] = []
  readonly sent: { type: string; seq?: number }[] = []
  readyState = 1
  bufferedAmount = 0

  readonly url: string
  readonly protocols: string[]

  constructor(url: string, protocols: string[]) {
    super()
    this.url = url
    this.protocols = protocols
    FakeSocket.all.push(this)
  }

  send(frame: string | Uint8Array): void {
    this.sent.push(typeof frame === 'string' ? (JSON.parse(frame) as { type: string }) : { type: 'chunk', seq: new DataView(frame.buffer).getUint32(4) })
  }

  close(): void {
    this.readyState = 3
  }

  says(message: object): void {
    this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(message) }))
  }

  welcomes(): void {
    this.says({ type: 'welcome', session: 's', serverTime: new Date().toISOString(), maxChunkBytes: 1000, windowBytes: 1000, heartbeatMs: 10_000 })
  }

  breaks(code: number): void {
    this.dispatchEvent(new CloseEvent('close', { code }))
  }
}
