import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { freePort, isFree } from '../local/ports.ts'
import { healthPortVariable, SERVICES } from '../local/services.ts'

const START = fileURLToPath(new URL('../local/start.ts', import.meta.url))

/** Settings by which a start disturbs no other: all ports free, state in `dataDir`, nothing from this shell. */
export async function ownSettings(dataDir: string): Promise<{ env: Record<string, string>; ports: number[] }> {
  const variables = [
    'LONGTAKE_QUERY_PORT',
    'LONGTAKE_GATEWAY_PORT',
    'LONGTAKE_LOCAL_KAFKA_PORT',
    'LONGTAKE_LOCAL_KAFKA_CONTROLLER_PORT',
    'LONGTAKE_LOCAL_AZURITE_PORT',
  ]
  const env: Record<string, string> = { LONGTAKE_LOCAL_DATA: dataDir }
  for (const name of [...variables, ...SERVICES.map(healthPortVariable)]) env[name] = String(await freePort())
  return { env, ports: Object.entries(env).flatMap(([name, value]) => (name.endsWith('_PORT') ? [Number(value)] : [])) }
}

export interface StartProcess {
  pid: number
  signal(signal: NodeJS.Signals): void
  /** Resolves with the first line that matches; rejects if the output ends before. */
  line(pattern: RegExp): Promise<string>
  /** Exit code (null after a kill) and all lines. */
  end(): Promise<{ code: number | null; lines: string[] }>
}

/** Runs start.ts as npm does, less the installing. */
export function runStart(env: Record<string, string>): StartProcess {
  const child = spawn(process.execPath, ['--disable-warning=TimeoutNegativeWarning', START], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const waiting: { pattern: RegExp; resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      for (const { pattern, resolve } of waiting) if (pattern.test(line)) resolve(line)
    })
  }
  let hasEnded = false
  const endedBefore = (pattern: RegExp): Error => new Error(`it ended before ${pattern}:\n${lines.join('\n')}`)
  const ended = once(child, 'close').then(([code]) => {
    hasEnded = true
    for (const { pattern, reject } of waiting) reject(endedBefore(pattern))
    return { code: code as number | null, lines }
  })
  return {
    pid: child.pid as number,
    signal: (signal) => {
      child.kill(signal)
    },
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const known = lines.find((line) => pattern.test(line))
        if (known !== undefined) resolve(known)
        else if (hasEnded) reject(endedBefore(pattern))
        else waiting.push({ pattern, resolve, reject })
      }),
    end: () => ended,
  }
}

/** Resolves once nobody listens on any of them. */
export async function untilFree(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    while (!(await isFree(port))) {
      await new Promise((resolve) => {
        setTimeout(resolve, 100)
      })
    }
  }
}
