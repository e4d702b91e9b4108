import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { SetupError } from './setup-error.ts'
import { guard } from './watchdog.ts'

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface Child {
  readonly name: string
  readonly pid: number
  readonly exited: Promise<Exit>
  /** The exit, once there is one. */
  exit(): Exit | undefined
  signal(signal: NodeJS.Signals): void
  /** SIGTERM, then SIGKILL after `graceMs`; resolves when the process is gone. */
  stop(graceMs?: number): Promise<Exit>
}

export interface ChildOptions {
  name: string
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Where its output goes: appended to a file, handed over line by line, or to the terminal. */
  output: { file: string } | { line: (text: string) => void } | 'inherit'
}

const living = new Set<ChildProcess>()

/** SIGKILL to every process that {@link startChild} has started and that still runs: for the end, when order is not to be had. */
export function killChildren(): void {
  for (const child of living) child.kill('SIGKILL')
}

/**
 * Starts a process in a group of its own, so that a Ctrl-C in the terminal reaches only us and we can end
 * everything in order; the watchdog ends it should we be killed ourselves.
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { name, output } = options
  const log = openOutput(output)
  const child = spawn(options.command, options.args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: options.env ?? process.env,
    cwd: options.cwd,
  })
  if (typeof log === 'number') closeSync(log)
  if (typeof output === 'object' && 'line' in output) {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', output.line)
    }
  }
  await once(child, 'spawn')
  living.add(child)
  const pid = child.pid as number
  const release = guard(pid)

  let exit: Exit | undefined
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      release()
      living.delete(child)
      exit = { code, signal }
      resolve(exit)
    })
  })

  return {
    name,
    pid,
    exited,
    exit: () => exit,
    signal: (signal) => {
      child.kill(signal)
    },
    stop: async (graceMs = 20_000) => {
      if (exit) return exit
      child.kill('SIGTERM')
      // A stopped process (SIGSTOP, Ctrl-Z) handles no other signal until it continues.
      child.kill('SIGCONT')
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      const result = await exited
      clearTimeout(timer)
      return result
    },
  }
}

function openOutput(output: ChildOptions['output']): number | 'pipe' | 'inherit' {
  if (output === 'inherit') return 'inherit'
  if ('line' in output) return 'pipe'
  mkdirSync(dirname(output.file), { recursive: true })
  return openSync(output.file, 'a')
}

export interface ReadyOptions {
  child: Child
  timeoutMs: number
  /** Where to look when it does not come up; its last lines are quoted. */
  logFile?: string
  /** Throws as long as it is not ready. */
  check: () => Promise<void>
}

/** Asks again and again until `check` succeeds; fails as soon as the process has ended or the time is over. */
export async function waitUntilReady({ child, timeoutMs, logFile, check }: ReadyOptions): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const exit = child.exit()
    if (exit) {
      const refusal = refusalOf(logFile)
      if (refusal !== undefined) throw new SetupError(refusal)
      throw new Error(`${child.name} ended while starting (${exit.signal ?? `exit code ${exit.code}`}).${lastLines(logFile)}`)
    }
    try {
      await check()
      return
    } catch (cause) {
      if (Date.now() > deadline) {
        throw new Error(`${child.name} was not ready after ${timeoutMs / 1000} s.${lastLines(logFile)}`, { cause })
      }
    }
    await delay(100)
  }
}

/** What a service says as its last words when its settings are wrong: those are the user's to mend. */
function refusalOf(logFile: string | undefined): string | undefined {
  if (logFile === undefined) return undefined
  return /^\S+ cannot start\. [^]*/m.exec(readFileSync(logFile, 'utf8').trimEnd())?.[0]
}

function lastLines(file: string | undefined): string {
  if (file === undefined) return ''
  const text = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join('\n')
  return ` The end of ${file}:\n${text}`
}
