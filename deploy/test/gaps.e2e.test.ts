import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeEvent, isRecordFault, TOPICS, type PublicSession, type RecordingEvent } from '@longtake/contracts'
import { readTable } from '@longtake/kafka'
import { downloadSession, loadRecording, readRecordedPart, type TestClient } from '@longtake/testkit'
import type { System } from '../local/system.ts'
import { connect, createSession, disposableSystem, finalized, judge, RECORDING_SERVICES, untilStatus } from './sessions.ts'

const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-keyframe-2s')
const LENGTH = chunks.length
type Gap = PublicSession['tracks'][string]['parts'][number]['gaps'][number]

const gapsOf = (status: PublicSession): Gap[] => Object.values(status.tracks).flatMap(({ parts }) => parts.flatMap(({ gaps }) => gaps))
const lostIn = (status: PublicSession): unknown[] => gapsOf(status).filter(({ kind }) => kind === 'lost').map(({ from, to, state, cause }) => [from, to, state, cause])
const undecodedIn = (status: PublicSession): Gap[] => gapsOf(status).filter(({ kind }) => kind === 'undecodable')

function sendSome(client: TestClient, part: string, from: number, to: number): void {
  for (let seq = from; seq <= to; seq++) client.send(part, seq, chunks[seq]!)
}

/** Frames of the recording that are whole and playable when only these chunks are here, in ms from the part's first frame. */
function playable(ranges: readonly (readonly [from: number, to: number])[]): { kind: string; timeMs: number; chunk: number }[] {
  const present = new Map(ranges.flatMap(([from, to]) => chunks.slice(from, to + 1).map((bytes, i) => [from + i, bytes] as const)))
  const { frames } = readRecordedPart(present)
  const zero = Math.min(...frames.map(({ timeMs }) => timeMs))
  return frames.map(({ kind, timeMs, chunks: [chunk] }) => ({ kind, timeMs: timeMs - zero, chunk })).toSorted((a, b) => a.timeMs - b.timeMs)
}

/** Frames last some 40 ms here, and nobody says for how long the last one before a hole does. */
const near = (actual: number | null, expected: number): void => assert.ok(actual !== null && Math.abs(actual - expected) < 150, `${actual} ms is not near ${expected} ms`)

const cases: Record<string, (system: System, told: readonly RecordingEvent[]) => Promise<void>> = {
  async 'a hole and a tail are shown open with their media time, asked for through the gateway that holds the client, filled, and gone'(system) {
    const session = await createSession(system)
    const client = await connect(system, session, { url: system.gatewayUrls[1]!, answerResends: 'none' })
    const part = await client.open({ track: 'webcam', mimeType })
    sendSome(client, part, 0, 4)
    sendSome(client, part, 8, 11)
    await client.allAcknowledged(part)
    await client.close(part, { chunks: LENGTH })
    const open = await untilStatus(system, session.id, (status) => lostIn(status).length === 2)
    assert.deepEqual(lostIn(open), [[5, 7, 'open', null], [12, LENGTH - 1, 'open', null]])
    assert.ok(undecodedIn(open).every(({ state, cause }) => state === 'open' && cause === null))
    const here = playable([[0, 4], [8, 11]])
    const [hole, tail] = gapsOf(open).filter(({ kind }) => kind === 'lost')
    near(hole!.startMs, here.findLast(({ chunk }) => chunk <= 4)!.timeMs)
    // Sound goes on before, but whole it is again with the next picture.
    near(hole!.endMs, here.find(({ kind, chunk }) => kind === 'video' && chunk >= 8)!.timeMs)
    near(tail!.startMs, here.at(-1)!.timeMs)
    const { durationMs, timeline } = open.tracks['webcam']!
    near(durationMs, here.at(-1)!.timeMs)
    assert.deepEqual(timeline, [{ mediaMs: 0, offsetMs: 0 }], 'one part: its media time runs as the clock did')

    await client.resendAsked(part, 5)
    await client.resendAsked(part, 12)
    sendSome(client, part, 5, 7)
    sendSome(client, part, 12, LENGTH - 1)
    await client.finish()
    const { findings } = await judge(system, session, [client])
    assert.deepEqual(findings, [])
    const whole = await untilStatus(system, session.id, finalized)
    assert.deepEqual([whole.status, whole.version, gapsOf(whole)], ['complete', 1, []])
    await client.disconnect()
  },

  async 'what the client answers to be lost is confirmed with its cause, in the status and in the manifest'(system) {
    const session = await createSession(system)
    const client = await connect(system, session, { url: system.gatewayUrls[1]!, answerResends: 'none' })
    const part = await client.open({ track: 'webcam', mimeType })
    sendSome(client, part, 0, 4)
    sendSome(client, part, 8, LENGTH - 1)
    await client.close(part)
    await client.finish()
    await client.resendAsked(part, 5)
    await client.lost(part, 5, 7, 'quota')
    await judge(system, session, [client])
    const { status, manifest } = await downloadSession(system.queryUrl, session.id, session.watch.token)
    assert.equal(status.status, 'complete-with-gaps')
    assert.deepEqual(lostIn(status), [[5, 7, 'confirmed', 'quota']])
    assert.ok(undecodedIn(status).every(({ state, cause }) => state === 'confirmed' && cause === 'quota'))
    assert.deepEqual(manifest!.gaps.filter(({ kind }) => kind === 'lost').map(({ from, to, state, cause }) => [from, to, state, cause]), [[5, 7, 'confirmed', 'quota']])
    await client.disconnect()
  },

  async 'lost never confirms what Kafka has, whether it stands before or behind that declaration, or came by another connection'(system, told) {
    const session = await createSession(system)
    const client = await connect(system, session, { answerResends: 'none' })
    const part = await client.open({ track: 'webcam', mimeType })
    sendSome(client, part, 0, 4)
    await client.lost(part, 3, 4, 'crash')
    await client.lost(part, 5, 6, 'spool-cleared')
    sendSome(client, part, 5, 9)
    await client.allAcknowledged(part)
    const other = await connect(system, session, { url: system.gatewayUrls[1]!, answerResends: 'none' })
    await other.open({ track: 'webcam', part, mimeType, startedAt: client.ledger(part).startedAt })
    sendSome(other, part, 10, LENGTH - 1)
    await client.lost(part, 8, LENGTH - 1, 'corrupt')
    await other.allAcknowledged(part)
    await client.close(part, { chunks: LENGTH })
    await client.finish()
    const status = await untilStatus(system, session.id, finalized)
    assert.deepEqual([status.status, status.version, gapsOf(status)], ['complete', 1, []])
    assert.deepEqual(told.filter((event) => event.session === session.id && event.type === 'gap-confirmed'), [])
    await Promise.all([client.disconnect(), other.disconnect()])
  },

  async 'already-acknowledged confirms nothing while the client is there; the chunks come, and it is whole'(system, told) {
    const session = await createSession(system)
    const client = await connect(system, session, { answerResends: 'none' })
    const part = await client.open({ track: 'webcam', mimeType })
    sendSome(client, part, 0, 4)
    sendSome(client, part, 6, LENGTH - 1)
    await client.lost(part, 5, 5, 'already-acknowledged')
    await client.close(part)
    await client.finish()
    const open = await untilStatus(system, session.id, (status) => lostIn(status).length === 1 && status.endedAt === null && status.tracks['webcam']!.parts[0]!.closed)
    assert.deepEqual([open.status, lostIn(open)], ['recording', [[5, 5, 'open', 'already-acknowledged']]])
    sendSome(client, part, 5, 5)
    const status = await untilStatus(system, session.id, finalized)
    assert.deepEqual([status.status, status.version], ['complete', 1])
    assert.deepEqual(told.filter((event) => event.session === session.id && event.type === 'gap-confirmed'), [])
    await client.disconnect()
  },

  async 'whoever is away for long is interrupted, then abandoned with all gaps confirmed, and reopens the session by coming back'(system) {
    const session = await createSession(system, { interruptedAfterMs: 1000, abandonedAfterMs: 8000 })
    const client = await connect(system, session, { answerResends: 'none' })
    const part = await client.open({ track: 'webcam', mimeType })
    sendSome(client, part, 0, 4)
    sendSome(client, part, 8, 9)
    await client.lost(part, 5, 5, 'already-acknowledged')
    await client.allAcknowledged(part)
    await client.crash()
    await untilStatus(system, session.id, ({ status }) => status === 'interrupted')
    const left = await untilStatus(system, session.id, finalized)
    assert.deepEqual([left.status, left.version, lostIn(left)], ['abandoned', 1, [[5, 5, 'confirmed', 'already-acknowledged'], [6, 7, 'confirmed', 'abandoned']]])
    assert.ok(left.endedAt !== null && Date.parse(left.endedAt) <= Date.now())
    const { manifest } = await downloadSession(system.queryUrl, session.id, session.watch.token)
    assert.deepEqual([manifest!.status, manifest!.gaps.filter(({ kind }) => kind === 'lost').length], ['abandoned', 2])

    await client.reconnect()
    const reopened = await untilStatus(system, session.id, ({ status }) => status === 'recording')
    assert.deepEqual(lostIn(reopened), [[5, 5, 'open', 'already-acknowledged'], [6, 7, 'open', null]])
    sendSome(client, part, 5, 7)
    sendSome(client, part, 10, LENGTH - 1)
    await client.allAcknowledged(part)
    await client.close(part)
    await client.finish()
    const whole = await untilStatus(system, session.id, (status) => finalized(status) && status.version > 1)
    assert.deepEqual([whole.status, whole.version], ['complete', 2])
    await judge(system, session, [client])
    await client.disconnect()
  },
}

test('nothing that is missing is hidden', { concurrency: true }, async (t) => {
  const lines: string[] = []
  await using system = await disposableSystem({ services: RECORDING_SERVICES, instances: { gateway: 2 }, onLine: (_name, line) => void lines.push(line) })
  const told: RecordingEvent[] = []
  const faults: unknown[] = []
  await using _events = readTable({
    kafka: { brokers: [system.brokers], clientId: 'gaps-test' },
    topic: TOPICS.events.name,
    onRecord({ key, value, headers }) {
      const event = decodeEvent({ key, value, headers: { ...headers } })
      if (!isRecordFault(event)) told.push(event)
    },
    onFatal: (error) => void faults.push(error),
  })
  await Promise.all(Object.entries(cases).map(([name, run]) => t.test(name, () => run(system, told))))
  assert.deepEqual(faults, [])
  assert.equal(lines.filter((line) => line.includes('chunks that a client was acknowledged are neither written nor parked')).length, 1, 'a loss of ours is told loudly')
})
