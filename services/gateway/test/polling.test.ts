import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger } from '@longtake/service'
import { Gateway } from '../src/gateway.ts'
import { LIMITS } from '../src/limits.ts'
import { Polling } from '../src/polling.ts'
import { CLIENT } from './conversation.ts'

const OPTIONS = {
  instance: 'g',
  partitions: 12,
  maxConnections: 100,
  inFlightBytes: 1e6,
  windowBytes: 1e5,
  backlogBytes: 1e8,
}

/** Opens `times` connections of one session, each of another client; returns the status of each answer. */
async function open(times: number, limits = LIMITS): Promise<{ statuses: number[]; bodies: string[]; size: number }> {
  const logger = createLogger({ service: 'gateway', level: 'silent' })
  using gateway = new Gateway({ ...OPTIONS, limits, logger, send: () => Promise.resolve() })
  using polling = new Polling(gateway, limits)
  const statuses: number[] = []
  const bodies: string[] = []
  for (let i = 0; i < times; i++) {
    const client = CLIENT.slice(0, -2) + String(i).padStart(2, '0')
    const identity = { session: 's-1', client, expiresAt: Date.now() + 1e6 }
    polling.open(identity, { answer: (status, body) => void (statuses.push(status), bodies.push(body)) })
    await Promise.resolve()
  }
  return { statuses, bodies, size: polling.size }
}

test('connections above the limit of their session are refused, and nothing is kept of them', async () => {
  const limits = { ...LIMITS, perSession: { ...LIMITS.perSession, maxConnections: 3 } }
  const { statuses, bodies, size } = await open(20, limits)
  assert.deepEqual(statuses, [200, 200, 200, ...Array.from({ length: 17 }, () => 503)])
  assert.match(bodies.at(-1) ?? '', /"closed":\{"code":4429,"reason":"REC_TOO_MANY_CONNECTIONS"\}.*\n\{"type":"error"/)
  assert.equal(size, 3)
})
