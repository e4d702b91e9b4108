import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CreateSessionResponse, PublicSession } from '@longtake/contracts'
import { loadRecording } from '@longtake/testkit'
import type { System } from '../local/system.ts'
import { call, connect, createSession, disposableSystem, finalized, RECORDING_SERVICES, untilStatus } from './sessions.ts'

const { chunks } = loadRecording('chrome-webcam-vp9-opus')
let system: System & AsyncDisposable
before(async () => {
  system = await disposableSystem({ services: RECORDING_SERVICES })
})
after(() => system[Symbol.asyncDispose]())

/** Of a person who vanishes and returns: how the session ended without them, and how it ended at last. */
async function vanishAndReturn(session: CreateSessionResponse, vanished: () => Promise<unknown>): Promise<PublicSession[]> {
  const client = await connect(system, session)
  const part = await client.open({ track: 'webcam', mimeType: 'video/webm;codecs=vp9,opus' })
  await client.sendAll(part, chunks.slice(0, 10))
  await client.allAcknowledged()
  await client.crash()
  await vanished()
  const ended = await untilStatus(system, session.id, finalized)
  await client.reconnect()
  await client.sendAll(part, chunks.slice(10), 10)
  await client.allAcknowledged()
  await client.close(part)
  await client.finish()
  return [ended, await untilStatus(system, session.id, (status) => finalized(status) && status.status === 'complete')]
}

const brief = ({ status, tracks }: PublicSession): unknown[] => [status, tracks['webcam']?.parts[0]?.stored]

test('a backend ends the session of a person who has vanished; what comes later is the next version', async () => {
  const session = await createSession(system)
  const [ended, whole] = await vanishAndReturn(session, () => call(system, `/v1/sessions/${session.id}/finish`, { method: 'POST' }))
  assert.deepEqual([ended, whole].map((status) => brief(status!)), [['complete-with-gaps', 10], ['complete', chunks.length]])
  assert.equal(ended!.version, 1)
})

test('a session whose person stays away is abandoned with all that was acknowledged; who returns goes on with it', async () => {
  const session = await createSession(system, { interruptedAfterMs: 1000, abandonedAfterMs: 1000 })
  const [ended, whole] = await vanishAndReturn(session, async () => {})
  assert.deepEqual([ended, whole].map((status) => brief(status!)), [['abandoned', 10], ['complete', chunks.length]])
  assert.equal(ended!.version, 1)
})
