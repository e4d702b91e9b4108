import { SetupError } from './setup-error.ts'

/**
 * Resolves with why, once we are asked to stop: by SIGINT (Ctrl-C), SIGTERM, SIGHUP, or by the end of the process that
 * has started us. Repeated signals change nothing: Ctrl-C arrives from the terminal and from npm.
 */
export function untilStopped(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal))
    if (process.connected) process.on('disconnect', () => resolve('the end of its launcher'))
  })
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
