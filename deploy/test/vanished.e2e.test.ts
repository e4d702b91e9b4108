import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadRecording } from '@longtake/testkit'
import { call, connect, createSession, disposableSystem, finalized, RECORDING_SERVICES, untilStatus } from './sessions.ts'

test('a backend ends the session of a person who has vanished; what comes later is the next version', async () => {
  await using system = await disposableSystem({ services: RECORDING_SERVICES })
  const session = await createSession(system)
  const client = await connect(system, session)
  const { chunks } = loadRecording('chrome-webcam-vp9-opus')
  const part = await client.open({ track: 'webcam', mimeType: 'video/webm;codecs=vp9,opus' })
  await client.sendAll(part, chunks.slice(0, 10))
  await client.allAcknowledged()
  await client.crash()
  await call(system, `/v1/sessions/${session.id}/finish`, { method: 'POST' })
  const ended = await untilStatus(system, session.id, finalized)
  assert.equal(ended.status, 'complete-with-gaps')
  assert.equal(ended.version, 1)
  assert.equal(ended.tracks['webcam']?.parts[0]?.stored, 10)

  await client.reconnect()
  await client.sendAll(part, chunks.slice(10), 10)
  await client.allAcknowledged()
  await client.close(part)
  await client.finish()
  const whole = await untilStatus(system, session.id, (status) => finalized(status) && status.version > 1)
  assert.equal(whole.status, 'complete')
  assert.equal(whole.tracks['webcam']?.parts[0]?.stored, chunks.length)
})
