import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

let watchdog: ChildProcess | undefined

/**
 * Has `pid` ended if this process dies without doing so itself (kill -9, a crash). Returns what to call when
 * the process has ended. Works by a pipe that the kernel closes, whatever way we die.
 */
export function guard(pid: number): () => void {
  tell(`+${pid}`)
  return () => tell(`-${pid}`)
}

function tell(line: string): void {
  watchdog ??= startWatchdog()
  watchdog.stdin?.write(`${line}\n`)
}

function startWatchdog(): ChildProcess {
  const child = spawn('/bin/sh', [fileURLToPath(new URL('watchdog.sh', import.meta.url))], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  // Neither it nor its pipe keeps us alive.
  child.unref()
  child.stdin.on('error', () => undefined)
  ;(child.stdin as unknown as { unref(): void }).unref()
  return child
}
