/**
 * What Kafka's absence costs a gateway: memory while it is stopped and while it is killed, and how soon acks flow again.
 * `node load-tests/bench-gateway-outage.ts [--clients 500] [--kilobytes 50] [--seconds 60] [--in-flight 64MiB]`
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createTokens, Secret } from '@longtake/service'
import { reportSetupError } from '../deploy/local/run.ts'
import { startSystem, type System } from '../deploy/local/system.ts'
import { OutageRecorder } from './outage-recorder.ts'

const HEAD = new URL('../libs/testkit/fixtures/media/chrome-webcam-vp9-opus/00000.bin', import.meta.url)
const WARM_UP_MS = 15_000
const CAUGHT_UP_WITHIN_MS = 180_000

const { values } = parseArgs({
  options: { clients: { type: 'string', default: '500' }, kilobytes: { type: 'string', default: '50' }, seconds: { type: 'string', default: '60' }, 'in-flight': { type: 'string', default: '64MiB' } },
})

async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-outage-'))
  const system = await startSystem({ dataDir, services: ['gateway'], env: { LONGTAKE_GATEWAY_IN_FLIGHT: values['in-flight'] } })
  const recorders: OutageRecorder[] = []
  try {
    const tokens = createTokens({ tokenSecret: new Secret(system.tokenSecret) })
    const memory = new Memory(system.processes.pid('gateway'))
    const [head, body] = [readFileSync(HEAD), randomBytes(Number(values.kilobytes) * 1000)]
    for (let i = 0; i < Number(values.clients); i++) {
      const session = `outage-${i}`
      const token = await tokens.sign({ sub: session, scope: 'ingest', exp: Math.floor(Date.now() / 1000) + 7200 })
      recorders.push(new OutageRecorder({ url: system.gatewayUrl, session, token, head, body }))
    }
    await delay(WARM_UP_MS)
    console.log(`${values.clients} clients, ${values.kilobytes} kB a second each, in flight at most ${values['in-flight']}; resident before: ${memory.takePeak()} MiB`)
    const { kafka } = system
    if (kafka === undefined) throw new Error('its own Kafka has been started')
    await outage('Kafka stopped (SIGSTOP)', system, recorders, memory, () => process.kill(kafka.pid, 'SIGSTOP'), async () => void process.kill(kafka.pid, 'SIGCONT'))
    await outage('Kafka killed (SIGKILL)', system, recorders, memory, () => kafka.kill(), () => kafka.restart())
    memory.stop()
  } finally {
    for (const recorder of recorders) recorder.stop()
    await system.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function outage(what: string, system: System, recorders: readonly OutageRecorder[], memory: Memory, begin: () => void, end: () => Promise<void>): Promise<void> {
  const sum = (of: (recorder: OutageRecorder) => number): number => recorders.reduce((total, recorder) => total + of(recorder), 0)
  const closes = (): string => JSON.stringify(Object.fromEntries([...Map.groupBy(recorders.flatMap((recorder) => [...recorder.closes]), ([code]) => code)].map(([code, of]) => [code, of.reduce((n, [, times]) => n + times, 0)])))
  memory.takePeak()
  begin()
  await delay(Number(values.seconds) * 1000)
  const during = memory.takePeak()
  const connected = recorders.filter(({ isConnected }) => isConnected).length
  const readiness = await fetch(`${system.processes.healthUrl('gateway')}/readyz`)
  const waiting = sum(({ made, acknowledged }) => made - acknowledged)
  const before = sum(({ acknowledged }) => acknowledged)
  await end()
  const backAt = performance.now()
  const until = async (holds: () => boolean): Promise<string> => {
    while (!holds()) {
      if (performance.now() - backAt > CAUGHT_UP_WITHIN_MS) return `not within ${CAUGHT_UP_WITHIN_MS / 1000} s`
      await delay(100)
    }
    return `${((performance.now() - backAt) / 1000).toFixed(1)} s`
  }
  const first = await until(() => sum(({ acknowledged }) => acknowledged) > before)
  const each = await until(() => recorders.every(({ lastAckAt }) => lastAckAt > backAt))
  const caughtUp = await until(() => sum(({ made, acknowledged }) => made - acknowledged) <= 2 * recorders.length)
  console.log(`${what} for ${values.seconds} s:
  resident, peak            ${during} MiB while away, ${memory.takePeak()} MiB once back
  at the end of it          ${connected} clients connected, ${waiting} chunks kept by clients, /readyz ${readiness.status}
  once Kafka is back        first ack after ${first}, every client has had one after ${each}, caught up after ${caughtUp}
  closes so far             ${closes()}`)
}

/** The largest resident memory of a process since it was last asked, MiB. */
class Memory {
  readonly #pid: number
  readonly #timer: NodeJS.Timeout
  #peak = 0

  constructor(pid: number) {
    this.#pid = pid
    this.#timer = setInterval(() => this.#look(), 250)
  }

  takePeak(): number {
    this.#look()
    const peak = this.#peak
    this.#peak = 0
    return Math.round(peak / 1024)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    this.#peak = Math.max(this.#peak, Number(execFileSync('ps', ['-o', 'rss=', '-p', String(this.#pid)], { encoding: 'utf8' })))
  }
}

await main().then(() => process.exit(0), reportSetupError)
