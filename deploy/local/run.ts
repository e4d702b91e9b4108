import { SetupError } from './setup-error.ts'

/**
 * Resolves with why, once we are asked to stop: by SIGINT (Ctrl-C), SIGTERM, SIGHUP, or by the end of the process that
 * has started us. Repeated signals change nothing here, see {@link onStopAgain}.
 */
export function untilStopped(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal))
    if (process.connected) process.on('disconnect', () => resolve('the end of its launcher'))
  })
}

/** Within this time a repeated signal is the same Ctrl-C: the terminal sends it to us, to npm and to the bootstrap, which pass it on. */
const SAME_SIGNAL_MS = 1000

/** Calls `onSignal` for every SIGINT or SIGTERM that comes when a stop has been under way for a while: the user asks again. */
export function onStopAgain(onSignal: () => void): void {
  const since = performance.now()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (performance.now() - since > SAME_SIGNAL_MS) onSignal()
    })
  }
}

/** What failed and, each in a line of its own, why: for whoever can mend it, without the stacks. */
export function reasons(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}\n  because: ${reasons(error.cause)}`
}

/** For a script's last `catch`: one line for what the user can mend, everything for what is our fault; exit code 1. */
export function reportSetupError(error: unknown): never {
  console.error(error instanceof SetupError ? `longtake: ${error.message}` : error)
  process.exit(1)
}
