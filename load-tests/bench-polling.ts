/**
 * What a recorder costs a gateway by WebSocket and by HTTP polling: CPU time of its process, with chunks of a second.
 * `node load-tests/bench-polling.ts [--clients 100] [--kilobytes 45] [--seconds 30]`
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createTokens, Secret, type Tokens } from '@longtake/service'
import { TestClient } from '@longtake/testkit'
import { cpuTimeMs } from '../deploy/local/cpu-time.ts'
import { reportSetupError } from '../deploy/local/run.ts'
import { startSystem, type System } from '../deploy/local/system.ts'

const HEAD = new URL('../libs/testkit/fixtures/media/chrome-webcam-vp9-opus/00000.bin', import.meta.url)
const TRANSPORTS = ['websocket', 'polling'] as const

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '100' },
    kilobytes: { type: 'string', default: '45' },
    seconds: { type: 'string', default: '30' },
  },
})
const [clientCount, chunkBytes, seconds] = [
  Number(values.clients),
  Number(values.kilobytes) * 1000,
  Number(values.seconds),
]

async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-polling-'))
  const system = await startSystem({ dataDir, services: ['gateway'] })
  try {
    const tokens = createTokens({ tokenSecret: new Secret(system.tokenSecret) })
    // The first run warms the process up for both.
    for (const transport of [...TRANSPORTS, ...TRANSPORTS]) await measure(system, tokens, transport)
  } finally {
    await system.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function measure(system: System, tokens: Tokens, transport: (typeof TRANSPORTS)[number]): Promise<void> {
  const exp = Math.floor(Date.now() / 1000) + 3600
  const chunks = [readFileSync(HEAD), randomBytes(chunkBytes)] as const
  const clients = await Promise.all(
    Array.from({ length: clientCount }, async (_, index) => {
      const session = `${transport}-${index}`
      const token = await tokens.sign({ sub: session, scope: 'ingest', exp })
      const client = await TestClient.connect({ url: system.gatewayUrl, session, token, transport, timeoutMs: 60_000 })
      const part = await client.open({ track: 'webcam', mimeType: 'video/webm;codecs=vp9,opus' })
      await client.sendAll(part, [chunks[0]])
      return { client, part }
    }),
  )
  const pid = system.processes.pid('gateway')
  const before = cpuTimeMs(pid) ?? 0
  const begunAt = performance.now()
  await Promise.all(
    clients.map(async ({ client, part }, index) => {
      // Each second of a recorder begins at another moment.
      await delay((1000 * index) / clientCount)
      for (let second = 1; second <= seconds; second++) {
        await client.sendAll(part, [chunks[1]], second)
        await delay(begunAt + (1000 * index) / clientCount + 1000 * second - performance.now())
      }
      await client.allAcknowledged()
    }),
  )
  const cpuMs = (cpuTimeMs(pid) ?? Number.NaN) - before
  const elapsedMs = performance.now() - begunAt
  const perChunk = `${(cpuMs / (clientCount * seconds)).toFixed(3)} ms a chunk`
  const share = `${((100 * cpuMs) / elapsedMs).toFixed(1)} % of a core`
  console.log(`${transport.padEnd(9)} ${clientCount} clients, ${seconds} s: ${cpuMs} ms of CPU, ${perChunk}, ${share}`)
  await Promise.all(clients.map(({ client }) => client.disconnect()))
}

await main().then(() => process.exit(0), reportSetupError)
