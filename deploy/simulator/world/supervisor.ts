import type { BlobStore } from '@longtake/blob'
import type { Random } from '@longtake/testkit'
import type { ServiceKind } from '../plan.ts'
import { startService } from '../services.ts'
import type { Trace } from './trace.ts'
import { SimProcess, type VirtualTime } from './virtual-time.ts'
import type { IngestServer } from './websocket.ts'

interface Running {
  readonly process: SimProcess
  readonly stopping: AbortController
  service: AsyncDisposable | undefined
}

export interface SupervisorOptions {
  readonly time: VirtualTime
  readonly trace: Trace
  readonly store: BlobStore
  readonly holeWaitMs: number
  /** A service ended by itself. */
  onDeath(reason: string): void
}

const RESTART_MS = 1000
/** How long an orderly stop may take before it becomes kill -9. */
const STOP_MS = 30_000

/** Starts services, kills, stops and pauses them, and starts again what ended, as an orchestrator does. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #running = new Map<string, Running>()
  readonly #servers = new Map<SimProcess, IngestServer>()
  #started = 0

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /** One of the gateways that accept connections. */
  ingest(random: Random): IngestServer | undefined {
    const servers = [...this.#servers.values()].filter(({ process }) => process.alive)
    return servers.length === 0 ? undefined : random.pick(servers)
  }

  start(kind: ServiceKind, index: number): void {
    const name = `${kind}-${index}`
    const { trace, store, time, holeWaitMs } = this.#options
    this.#started += 1
    const process = new SimProcess(`${name}.${this.#started}`)
    const running: Running = { process, stopping: new AbortController(), service: undefined }
    this.#running.set(name, running)
    trace.line(process.name, 'starts')
    const ended = (error: unknown): void => {
      if (!process.alive) return
      const reason = `${process.name} ended: ${describeError(error)}`
      trace.line(process.name, reason)
      this.#options.onDeath(reason)
      this.#end(running)
      time.after(RESTART_MS, () => this.start(kind, index))
    }
    process.run(() => {
      startService(kind, {
        process,
        store,
        holeWaitMs,
        trace,
        stopping: running.stopping.signal,
        fail: ended,
        listening: (server) => this.#servers.set(process, server),
      }).then(
        (service) => (running.service = service),
        (error: unknown) => {
          if (!running.stopping.signal.aborted) ended(error)
        },
      )
    })
  }

  kill(kind: ServiceKind, index: number, downMs: number): void {
    const running = this.#take(kind, index)
    if (running === undefined) return
    this.#options.trace.line(running.process.name, 'is killed')
    this.#end(running)
    this.#options.time.after(downMs, () => this.start(kind, index))
  }

  /** SIGTERM; the next instance starts once it has ended, or was killed for taking too long. */
  restart(kind: ServiceKind, index: number, downMs: number): void {
    const { time, trace } = this.#options
    const running = this.#take(kind, index)
    if (running === undefined) return
    trace.line(running.process.name, 'is asked to stop')
    const cancel = time.after(STOP_MS, () => over())
    const over = (): void => {
      if (!running.process.alive) return
      cancel()
      trace.line(running.process.name, 'stops')
      this.#end(running)
      time.after(downMs, () => this.start(kind, index))
    }
    running.process.run(() => {
      running.stopping.abort(new Error('the process shall stop'))
      const { service } = running
      if (service === undefined) over()
      else Promise.resolve(service[Symbol.asyncDispose]()).then(over, over)
    })
  }

  pause(kind: ServiceKind, index: number, forMs: number): void {
    const { time, trace } = this.#options
    const running = this.#running.get(`${kind}-${index}`)
    if (running === undefined || running.process.paused) return
    trace.line(running.process.name, `is paused for ${forMs} ms`)
    running.process.pause()
    time.after(forMs, () => running.process.resume(time))
  }

  #take(kind: ServiceKind, index: number): Running | undefined {
    const name = `${kind}-${index}`
    const running = this.#running.get(name)
    // It is being started again, or paused: one fault of a process at a time.
    if (running === undefined || running.process.paused) return undefined
    this.#running.delete(name)
    return running
  }

  #end({ process }: Running): void {
    this.#servers.delete(process)
    process.kill()
  }
}

const describeError = (error: unknown): string =>
  error instanceof Error
    ? `${error.message}${error.cause instanceof Error ? `: ${error.cause.message}` : ''}`
    : String(error)
