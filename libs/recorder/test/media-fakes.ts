import { mock } from 'node:test'
import type { WorkerTimers } from '../src/worker-timers.ts'

/** A `MediaStreamTrack` to be ended, muted and resized by the test. */
export class FakeSource extends EventTarget {
  static #count = 0
  readonly id = `source-${(FakeSource.#count += 1)}`
  readonly label = 'fake'
  readonly kind: 'video' | 'audio'
  readyState = 'live'
  muted = false
  /** False: a picture that stands still, or a device that gives nothing although it is live. */
  delivers = true
  settings: Record<string, unknown>

  constructor(kind: 'video' | 'audio', settings: Record<string, unknown> = kind === 'video' ? { width: 640, height: 480 } : { sampleRate: 48_000, channelCount: 1 }) {
    super()
    this.kind = kind
    this.settings = settings
  }

  getSettings(): Record<string, unknown> {
    return this.settings
  }

  /** As when it is unplugged: with an event, and recorders of nothing else stop. */
  end(): void {
    this.stop()
    this.dispatchEvent(new Event('ended'))
  }

  /** As a page does it: without an event. */
  stop(): void {
    this.readyState = 'ended'
    for (const recorder of FakeMediaRecorder.all) recorder.sourceEnded()
  }

  mute(muted: boolean): void {
    this.muted = muted
    this.dispatchEvent(new Event(muted ? 'mute' : 'unmute'))
  }
}

export class FakeStream {
  readonly #sources: FakeSource[]
  constructor(sources: FakeSource[]) {
    this.#sources = sources
  }

  getTracks(): FakeSource[] {
    return [...this.#sources]
  }
}

export const streamOf = (...sources: FakeSource[]): MediaStream => new FakeStream(sources) as unknown as MediaStream

/** Behaves like Chrome's, as far as measured: see the cases in the browser. */
export class FakeMediaRecorder extends EventTarget {
  static all: FakeMediaRecorder[] = []
  /** What the next ones do when they are started. `deaf`: their `stop` event never comes. */
  static next: 'record' | 'throw' | 'fail' | 'wait' | 'deaf' = 'record'
  readonly stream: FakeStream
  readonly options: MediaRecorderOptions
  state = 'inactive'
  readonly #behaviour = FakeMediaRecorder.next
  #hasStarted = false
  #timeslice: number | undefined
  /** What was encoded, and what of it the muxer holds until the other source delivers, too. */
  #encoded = ''
  #held = ''

  constructor(stream: FakeStream, options: MediaRecorderOptions) {
    super()
    this.stream = stream
    this.options = options
  }

  static isTypeSupported = (type: string): boolean => type.includes('webm')
  /** Those that record, without those that only look whether something comes. */
  static get running(): FakeMediaRecorder[] {
    return FakeMediaRecorder.all.filter((recorder) => recorder.state === 'recording' && recorder.#timeslice !== undefined)
  }

  static get probing(): FakeMediaRecorder[] {
    return FakeMediaRecorder.all.filter((recorder) => recorder.state === 'recording' && recorder.#timeslice === undefined)
  }

  /** A second has passed. */
  static second(): void {
    for (const recorder of FakeMediaRecorder.all) recorder.#record()
  }

  get mimeType(): string {
    return this.options.mimeType ?? ''
  }

  get kinds(): string {
    return this.stream.getTracks().map(({ kind }) => kind).join('+')
  }

  get #allDeliver(): boolean {
    return this.#behaviour !== 'wait' && this.stream.getTracks().every(({ delivers, muted, kind }) => delivers && !(muted && kind === 'video'))
  }

  start(timeslice?: number): void {
    if (this.#behaviour === 'throw') throw new DOMException('no encoder', 'NotSupportedError')
    FakeMediaRecorder.all.push(this)
    this.#timeslice = timeslice
    this.state = 'recording'
    queueMicrotask(() => (this.#behaviour === 'fail' ? this.fail() : this.#begin()))
  }

  give(text: string): void {
    this.dispatchEvent(Object.assign(new Event('dataavailable'), { data: new Blob([text]) }))
  }

  requestData(): void {
    const text = this.#encoded
    this.#encoded = ''
    queueMicrotask(() => this.give(text))
  }

  stop(): void {
    if (this.state === 'inactive') return
    this.state = 'inactive'
    if (this.#behaviour === 'deaf') return
    queueMicrotask(() => {
      this.give(`${this.#encoded}${this.#held}last`)
      this.dispatchEvent(new Event('stop'))
    })
  }

  fail(): void {
    this.state = 'inactive'
    this.dispatchEvent(Object.assign(new Event('error'), { error: new DOMException('the encoder died', 'UnknownError') }))
    this.dispatchEvent(new Event('stop'))
  }

  sourceEnded(): void {
    if (this.stream.getTracks().every(({ readyState }) => readyState === 'ended')) this.stop()
  }

  #begin(): void {
    if (this.#hasStarted || this.state !== 'recording' || !this.#allDeliver) return
    this.#hasStarted = true
    this.dispatchEvent(new Event('start'))
  }

  #record(): void {
    if (this.state !== 'recording') return
    this.#begin()
    if (this.stream.getTracks().some(({ delivers }) => delivers)) this.#held += '..'
    if (!this.#allDeliver) return
    this.#encoded += this.#held
    this.#held = ''
    if (this.#timeslice !== undefined) this.requestData()
  }
}

export function installMediaFakes(): void {
  Object.assign(globalThis, { MediaRecorder: FakeMediaRecorder, MediaStream: FakeStream })
  FakeMediaRecorder.all = []
  FakeMediaRecorder.next = 'record'
}

/** Time that passes only when told, and with it `Date.now` and `performance.now`. */
export class FakeTimers {
  #now = 1_000_000
  #tasks: { at: number; task: () => void }[] = [{ at: this.#now + 1000, task: () => this.#media() }]
  readonly #wall = mock.method(Date, 'now', () => this.#now + this.#setMs)
  readonly #steady = mock.method(performance, 'now', () => this.#now - this.#sleptMs)
  #setMs = 0
  #sleptMs = 0
  readonly worker = { after: (ms: number, task: () => void) => this.#after(ms, task), every: (ms: number, task: () => void) => this.#every(ms, task), isThrottled: false } as unknown as WorkerTimers

  /** Somebody sets the device's clock. */
  setClock(ms: number): void {
    this.#setMs += ms
  }

  /** The device sleeps: no timer fires, and only one of its clocks goes on. */
  sleep(ms: number): void {
    this.#now += ms
    this.#sleptMs += ms
  }

  /** No timer fires, and both clocks go on: a device that sleeps on Windows, or a page that is busy. */
  block(ms: number): void {
    this.#now += ms
  }

  /** Milliseconds; what is due on the way is done, and what that sets off. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settled()
      const next = this.#tasks.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#tasks = this.#tasks.filter((each) => each !== next)
      this.#now = Math.max(this.#now, next.at)
      next.task()
    }
    this.#now = end
  }

  #media(): void {
    FakeMediaRecorder.second()
    this.#after(1000, () => this.#media())
  }

  restore(): void {
    this.#wall.mock.restore()
    this.#steady.mock.restore()
  }

  #after(ms: number, task: () => void): () => void {
    const entry = { at: this.#now + ms, task }
    this.#tasks.push(entry)
    return () => {
      this.#tasks = this.#tasks.filter((each) => each !== entry)
    }
  }

  #every(ms: number, task: () => void): () => void {
    let cancel = (): void => undefined
    const next = (): void => {
      cancel = this.#after(ms, () => {
        next()
        task()
      })
    }
    next()
    return () => cancel()
  }
}

/** All that can go on without a timer has gone on. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
}

/** Lets everything that needs no timer go on until the condition holds; without end where it never does. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await settled()
}
