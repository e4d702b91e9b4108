import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Child, type Exit, startChild, waitUntilReady } from './child.ts'
import { ROOT } from './test-files.ts'

/** A little more than the services allow themselves (LONGTAKE_SHUTDOWN_TIMEOUT, 25 s). */
const STOP_GRACE_MS = 30_000
const READY_WITHIN_MS = 60_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** Who has run so long did not die of its start: the next pause is the first again. */
const STEADY_AFTER_MS = 60_000

export interface ProcessSpec {
  /** `block-writer`, and `block-writer-2` for a second one. */
  name: string
  /** What to run, an absolute path. */
  script: string
  healthPort: number
  env: NodeJS.ProcessEnv
}

export interface ProcessesOptions {
  specs: readonly ProcessSpec[]
  /** Folder of one `<name>.log` for each, with its lines as written. */
  logDir: string
  /** Every line of output, too. */
  onLine?: ((name: string, text: string) => void) | undefined
  /** Start one that ends by itself again, after a pause that grows; it is told here. */
  onRestart?: ((name: string, exit: Exit, pauseMs: number) => void) | undefined
}

interface Entry {
  spec: ProcessSpec
  child: Child | undefined
  /** What is wanted of it: only the end of one that was `up` is a death. */
  state: 'down' | 'starting' | 'up'
  startedAt: number
  pauseMs: number
}

/** The services as processes, each addressed by its name. */
export class Processes {
  readonly #options: ProcessesOptions
  readonly #entries: Map<string, Entry>

  constructor(options: ProcessesOptions) {
    this.#options = options
    this.#entries = new Map(options.specs.map((spec) => [spec.name, { spec, child: undefined, state: 'down', startedAt: 0, pauseMs: FIRST_PAUSE_MS }]))
    mkdirSync(options.logDir, { recursive: true })
  }

  names(): string[] {
    return [...this.#entries.keys()]
  }

  pid(name: string): number {
    return this.#running(name).pid
  }

  logFile(name: string): string {
    return join(this.#options.logDir, `${name}.log`)
  }

  /** Where its `/readyz` and `/metrics` are. */
  healthUrl(name: string): string {
    return `http://127.0.0.1:${this.#entry(name).spec.healthPort}`
  }

  /** Resolves once it is ready; fails with its last words if it ends instead. */
  async start(name: string): Promise<void> {
    const entry = this.#entry(name)
    if (entry.child && !entry.child.exit()) throw new Error(`${name} runs already`)
    entry.state = 'starting'
    const child = await this.#launch(entry)
    await waitUntilReady({ child, timeoutMs: READY_WITHIN_MS, logFile: this.logFile(name), check: () => this.#checkReady(name) })
    if (entry.state === 'starting') entry.state = 'up'
  }

  /** Sends a signal and returns at once; a process ended by it stays down until {@link restart}. */
  kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): void {
    const child = this.#running(name)
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') this.#entry(name).state = 'down'
    child.signal(signal)
  }

  /** Orderly, by SIGTERM. */
  async stop(name: string): Promise<Exit | undefined> {
    const entry = this.#entry(name)
    entry.state = 'down'
    return entry.child?.stop(STOP_GRACE_MS)
  }

  /** Stops it if it runs, and resolves once it is ready again. */
  async restart(name: string): Promise<void> {
    await this.stop(name)
    await this.start(name)
  }

  /** Resolves with how the present process ends. */
  exited(name: string): Promise<Exit> {
    const { child } = this.#entry(name)
    if (!child) throw new Error(`${name} was never started`)
    return child.exited
  }

  /** From now on nothing is started again by itself. */
  expectEnd(): void {
    for (const entry of this.#entries.values()) entry.state = 'down'
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name)
    if (!entry) throw new Error(`there is no process ${name}, only ${this.names().join(', ')}`)
    return entry
  }

  #running(name: string): Child {
    const { child } = this.#entry(name)
    if (!child || child.exit()) throw new Error(`${name} does not run`)
    return child
  }

  async #checkReady(name: string): Promise<void> {
    const response = await fetch(`${this.healthUrl(name)}/readyz`, { signal: AbortSignal.timeout(2000) })
    const body = await response.text()
    if (!response.ok) throw new Error(`${name} is not ready: ${body}`)
  }

  async #launch(entry: Entry): Promise<Child> {
    const { spec } = entry
    const logFile = this.logFile(spec.name)
    appendFileSync(logFile, '')
    const child = await startChild({
      name: spec.name,
      command: process.execPath,
      args: ['--disable-warning=ExperimentalWarning', '--disable-warning=TimeoutNegativeWarning', spec.script],
      cwd: ROOT,
      env: spec.env,
      output: this.#output(spec.name, logFile),
    })
    entry.child = child
    entry.startedAt = performance.now()
    // Stopped while it was being spawned, when there was nothing to signal yet.
    if (entry.state === 'down') await child.stop(STOP_GRACE_MS)
    if (this.#options.onRestart) void this.#reviveWhenDead(entry, child)
    return child
  }

  #output(name: string, file: string): { file: string } | { line: (text: string) => void } {
    const { onLine } = this.#options
    if (!onLine) return { file }
    return {
      line: (text) => {
        appendFileSync(file, `${text}\n`)
        onLine(name, text)
      },
    }
  }

  async #reviveWhenDead(entry: Entry, child: Child): Promise<void> {
    const exit = await child.exited
    if (entry.state !== 'up') return
    if (performance.now() - entry.startedAt > STEADY_AFTER_MS) entry.pauseMs = FIRST_PAUSE_MS
    const pauseMs = entry.pauseMs
    entry.pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    this.#options.onRestart?.(entry.spec.name, exit, pauseMs)
    await delay(pauseMs, undefined, { ref: false })
    if (entry.state === 'up' && entry.child === child) await this.#launch(entry)
  }
}
