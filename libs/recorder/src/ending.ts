import { RecorderError } from './api.ts'
import { deferred } from './deferred.ts'
import type { Action } from './upload/action.ts'
import type { UploadSession } from './upload/upload-session.ts'

/** What ends with a recorder: nothing else, its share of the session, or the session for all. Each is more than the one before. */
export const ENDS = { nothing: 1, share: 2, session: 3 } as const
export type Ends = (typeof ENDS)[keyof typeof ENDS]

export interface EndingHost {
  /** @param scope the session is to end for all */
  noteStopped(scope?: 'session'): Promise<void>
  perform(actions: Action[]): void
  error(error: RecorderError): void
}

/** What was asked to end, and how the server learns of it: once all is in the spool, and again where more is asked afterwards. */
export class Ending {
  readonly #settled = deferred<void>()
  #outcome: 'durable' | 'failed' | null = null
  readonly #upload: UploadSession
  readonly #host: EndingHost
  #asked: Ends | 0 = 0
  #noted = Promise.resolve()
  #isCaptured = false

  constructor(upload: UploadSession, host: EndingHost) {
    this.#upload = upload
    this.#host = host
    // Whoever never calls `stop` has the `error` event.
    this.#settled.promise.catch(() => undefined)
  }

  /** Until everything is durable. @throws what was given to `fail` */
  get settled(): Promise<void> {
    return this.#settled.promise
  }

  /** Whether nothing more is sent. */
  get isOver(): boolean {
    return this.#outcome !== null
  }

  settle(): void {
    this.#outcome = 'durable'
    this.#settled.resolve()
  }

  /** Nothing more becomes durable. */
  fail(reason: RecorderError): void {
    this.#outcome = 'failed'
    this.#settled.reject(reason)
  }

  /** @throws RecorderError `invalid-options` where more is asked than was declared, and it is too late */
  ask(ends: Ends): void {
    // What is asked of a recorder that failed changes nothing, and its spool is closed.
    if (ends <= this.#asked || this.#outcome === 'failed') return
    if (this.#outcome === 'durable') throw new RecorderError('invalid-options', 'everything was sent before: only a backend can end the session now')
    this.#asked = ends
    if (ends > ENDS.nothing) this.#noted = this.#note()
    if (this.#isCaptured) this.#declare()
  }

  /** Nothing is recorded any more, and all of it is in the spool. */
  async captured(): Promise<void> {
    await this.#noted
    this.#isCaptured = true
    this.#declare()
  }

  /** First of all: should the page die meanwhile, a later one knows that the recording is to end. */
  async #note(): Promise<void> {
    try {
      await this.#host.noteStopped(this.#scope)
    } catch (cause) {
      this.#host.error(new RecorderError('spool-failed', 'the spool does not take the end of the recording', { cause }))
    }
  }

  #declare(): void {
    this.#host.perform(this.#asked === ENDS.nothing ? this.#upload.leave() : this.#upload.finish(this.#scope))
  }

  get #scope(): 'session' | undefined {
    return this.#asked === ENDS.session ? 'session' : undefined
  }
}
