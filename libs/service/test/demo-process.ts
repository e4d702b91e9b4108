import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type Line = Record<string, unknown> & { level: string; message: string }

/** Runs the demo service as a process of its own and reads its log. */
export function startDemo(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [fileURLToPath(new URL('fixtures/main.ts', import.meta.url))], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: Line[] = []
  let stderr = ''
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const check of waiting) check()
  }
  child.stderr.on('data', (data) => (stderr += String(data)))
  createInterface(child.stdout).on('line', (line) => {
    lines.push(JSON.parse(line) as Line)
    wake()
  })
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  void exited.then(wake)
  return {
    lines,
    exited,
    stderr: () => stderr,
    signal: (name: NodeJS.Signals) => child.kill(name),
    /** The first line with this message; rejects if the process ends without it. */
    logged(message: string): Promise<Line> {
      return new Promise((resolve, reject) => {
        const check = () => {
          const line = lines.find((candidate) => candidate.message === message)
          if (line !== undefined) resolve(line)
          else if (child.exitCode === null && child.signalCode === null) return
          else reject(new Error(`ended without logging "${message}": ${JSON.stringify(lines)} ${stderr}`))
          waiting.delete(check)
        }
        waiting.add(check)
        check()
      })
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
