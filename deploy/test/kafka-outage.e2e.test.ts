import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadRecording, recut } from '@longtake/testkit'
import { connect, createSession, describeAll, disposableSystem, judge, RECORDING_SERVICES } from './sessions.ts'

const CLIENTS = 20

test(`Kafka is killed and started again while ${CLIENTS} clients send: nothing acknowledged is missing`, async (t) => {
  await using system = await disposableSystem({ services: RECORDING_SERVICES })
  const { kafka } = system
  assert.ok(kafka !== undefined)
  const bytes = Buffer.concat(loadRecording('chrome-webcam-vp9-opus').chunks)
  const recorders = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, index) => {
      const session = await createSession(system)
      const client = await connect(system, session, { autoReconnect: true, timeoutMs: 120_000 })
      const part = await client.open({ track: 'webcam', mimeType: 'video/webm;codecs=vp9,opus' })
      return { session, client, part, chunks: recut(bytes, index + 1) }
    }),
  )
  // Half of everything is acknowledged, the rest is sent into the outage.
  await Promise.all(recorders.map(({ client, part, chunks }) => client.sendAll(part, chunks.slice(0, chunks.length / 2))))
  await Promise.all(recorders.map(({ client, part }) => client.allAcknowledged(part)))
  kafka.kill()
  const sending = recorders.map(({ client, part, chunks }) => client.sendAll(part, chunks.slice(chunks.length / 2), Math.floor(chunks.length / 2)))
  await kafka.restart()
  await Promise.all(sending)
  const verdicts = await Promise.all(
    recorders.map(async ({ session, client, part }) => {
      await client.allAcknowledged(part)
      await client.close(part)
      await client.finish()
      const verdict = await judge(system, session, [client])
      assert.deepEqual(client.violations, [])
      await client.disconnect()
      return verdict
    }),
  )
  t.diagnostic(describeAll(verdicts))
})
