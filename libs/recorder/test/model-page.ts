import assert from 'node:assert/strict'
import type { Action } from '../src/upload/action.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { ModelServer, PARTS } from './model-server.ts'

type ActionOf<Kind extends Action['do']> = Extract<Action, { do: Kind }>

/** A page with an upload session and a model of the server; what its edge does with the spool is up to each test. */
export abstract class ModelPage {
  readonly server: ModelServer
  /** By part: how many chunks were recorded. */
  readonly made = new Map(PARTS.map(({ part }) => [part, 0]))
  session = new UploadSession()
  connected = false
  /** Milliseconds since the epoch. */
  now = 5000
  settled = 0
  /** Chunks on their way from the spool to the connection. */
  reads: ActionOf<'send-chunk'>[] = []

  constructor(windowBytes: number, corrupt: ReadonlySet<string>) {
    this.server = new ModelServer(windowBytes, corrupt)
  }

  protected abstract forgets(action: ActionOf<'forget-chunks'>): void
  protected abstract notes(action: ActionOf<'note-opened'>): void

  /** The next chunk of a part. */
  make(index: number, bytes: number): { part: string; chunk: { seq: number; bytes: number; capturedAt: number } } {
    const { part } = PARTS[index]!
    const seq = this.made.get(part)!
    this.made.set(part, seq + 1)
    return { part, chunk: { seq, bytes, capturedAt: seq * 10 } }
  }

  run(actions: Action[]): void {
    for (const action of actions) {
      switch (action.do) {
        case 'send':
          assert.ok(this.connected, 'only a connection can be written to')
          this.server.receive(action.message)
          break
        case 'send-chunk':
          this.reads.push(action)
          break
        case 'forget-chunks':
          this.forgets(action)
          break
        case 'note-opened':
          this.notes(action)
          break
        case 'settled':
          this.settled += 1
          break
        case 'disconnect':
          this.server.cut(true)
          break
        case 'reconnect':
          this.connected = false
          // What was to be sent on that connection is void.
          this.reads = []
          break
        case 'refusal':
        case 'rename-client':
        case 'note-reports':
          break
        case 'end':
          assert.fail('no such code was sent')
          break
        default:
          action satisfies never
      }
    }
  }

  connect(): void {
    if (this.connected || this.settled > 0) return
    this.connected = true
    this.server.connect()
    this.session.connecting(this.now)
    this.deliver()
  }

  deliver(): void {
    const message = this.server.toClient.shift()
    if (message !== undefined && this.connected) this.run(this.session.message(message, this.now))
    if (message?.type === 'error') this.cut(4422, true)
  }

  /** @param arrived whether what was sent before arrives all the same */
  cut(code: number | null, arrived: boolean): void {
    if (!this.connected) return
    this.server.cut(arrived)
    this.run(this.session.disconnected(code))
  }
}
