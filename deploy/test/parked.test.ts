import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { encodeChunkRecord, encodeDeclaration, TOPICS, type EncodedRecord, type ParkedReason } from '@longtake/contracts'
import { createParker, toReplayed, toReplayedMark, parkedNote, type KafkaRecord, type OutgoingRecord } from '@longtake/kafka'
import { readCommand, UsageError } from '../parked/arguments.ts'
import { Backlog, positionOf, select, summarize } from '../parked/backlog.ts'
import { describeBacklog } from '../parked/report.ts'

const PART = '0b8f9f5e-6a3e-4a31-9d3c-2f9f60d2a001'
const chunk = (session: string, seq: number): EncodedRecord =>
  encodeChunkRecord({ session, track: 'webcam', part: PART, client: randomUUID(), seq, sha256: 'ab'.repeat(32), capturedAt: 1, payload: new Uint8Array(2_500) })
const close = (session: string): EncodedRecord => encodeDeclaration({ type: 'part-closed', session, track: 'screen', part: PART, chunks: 3, clean: true, at: '2026-01-01T00:00:00.000Z' })

/** A partition of recordings.parked, written by the real parker. */
class Parked {
  readonly log: KafkaRecord[] = []

  async park(record: EncodedRecord, offset: bigint, reason: ParkedReason, { group = 'longtake.block-writer', topic = TOPICS.chunks.name as string } = {}): Promise<KafkaRecord> {
    const producer = { send: async (sent: OutgoingRecord) => ({ offset: this.#append(sent).offset }) }
    const parker = createParker({ producer: producer as never, group })
    await parker.park({ topic, partition: 3, offset, tombstone: false, timestamp: 5, ...record, value: Buffer.from(record.value) }, { reason, details: `${reason} of ${offset}` })
    return this.log.at(-1)!
  }

  mark(record: KafkaRecord): void {
    this.#append(toReplayedMark(record, parkedNote(record)!, '2026-01-02T00:00:00.000Z'))
  }

  get backlog(): Backlog {
    const backlog = new Backlog()
    for (const record of this.log) backlog.add(record)
    return backlog
  }

  #append(sent: OutgoingRecord): KafkaRecord {
    const record = { tombstone: sent.value === null, timestamp: 5, headers: {}, ...sent, value: Buffer.from(sent.value ?? []), offset: BigInt(this.log.length) } as KafkaRecord
    this.log.push(record)
    return record
  }
}

const offsets = ({ waiting }: Backlog): bigint[] => waiting.map(({ offset }) => offset)

test('what is parked waits until a mark behind it says that it was sent back', async () => {
  const parked = new Parked()
  const first = await parked.park(chunk('anna', 0), 70n, 'other-content')
  await parked.park(chunk('anna', 1), 71n, 'other-content')
  assert.deepEqual(offsets(parked.backlog), [70n, 71n])
  parked.mark(first)
  assert.deepEqual(offsets(parked.backlog), [71n])
})

test('a record that was parked twice is one, and one mark is enough; parked once more after it, it waits again', async () => {
  const parked = new Parked()
  await parked.park(chunk('anna', 0), 70n, 'unwritable')
  const again = await parked.park(chunk('anna', 0), 70n, 'unwritable')
  assert.deepEqual(parked.backlog.waiting.map(positionOf), ['unwritable:3:1'])
  parked.mark(again)
  assert.deepEqual(offsets(parked.backlog), [])
  await parked.park(chunk('anna', 0), 70n, 'unwritable')
  assert.deepEqual(parked.backlog.waiting.map(positionOf), ['unwritable:3:3'])
})

test('of records that no clock deletes, those may be deleted before which all were sent back', async () => {
  const parked = new Parked()
  const finished = () => parked.backlog.finished(TOPICS.unwritable.name)
  const first = await parked.park(chunk('anna', 0), 70n, 'unwritable')
  const second = await parked.park(chunk('anna', 1), 71n, 'unwritable')
  assert.deepEqual(finished(), [{ partition: 3, offset: 0n }])
  parked.mark(first)
  assert.deepEqual(finished(), [{ partition: 3, offset: 1n }])
  parked.mark(second)
  assert.deepEqual(finished(), [{ partition: 3, offset: 4n }])
})

test('what may be the only copy of something acknowledged is parked apart from what clients can send at will', async () => {
  const parked = new Parked()
  const topicOf = async (reason: ParkedReason, topic: string = TOPICS.chunks.name) => (await parked.park(chunk('anna', 0), 70n, reason, { topic })).topic
  for (const reason of ['unwritable', 'unknown-kind', 'bad-header', 'not-json', 'invalid'] as const) {
    assert.equal(await topicOf(reason), 'recordings.unwritable', reason)
  }
  for (const reason of ['other-content', 'not-a-recording', 'empty-chunk', 'no-key', 'no-kind'] as const) {
    assert.equal(await topicOf(reason), 'recordings.parked', reason)
  }
  assert.equal(await topicOf('invalid', TOPICS.events.name), 'recordings.parked')
})

test('two groups that park the same record are marked apart', async () => {
  const parked = new Parked()
  const one = await parked.park(chunk('anna', 0), 70n, 'mismatch', { group: 'longtake.finalizer', topic: TOPICS.status.name })
  await parked.park(chunk('anna', 0), 70n, 'manifest', { group: 'longtake.remuxer', topic: TOPICS.status.name })
  parked.mark(one)
  assert.deepEqual(parked.backlog.waiting.map(({ reason }) => reason), ['manifest'])
})

test('what others put there is counted, and neither listed nor sent anywhere', async () => {
  const parked = new Parked()
  const record = await parked.park(chunk('anna', 0), 70n, 'unwritable')
  const { 'parked-offset': _offset, ...headers } = record.headers
  parked.log.push({ ...record, offset: 1n, headers })
  assert.equal(parked.backlog.foreign, 1)
  assert.equal(parked.backlog.waiting.length, 1)
})

test('a record goes back as it was, but with a time of its own; a status without its writer', async () => {
  const parked = new Parked()
  const original = chunk('anna', 7)
  const record = await parked.park(original, 70n, 'unwritable')
  const { headers, ...rest } = toReplayed(record, parkedNote(record)!)
  assert.deepEqual(headers, original.headers)
  assert.deepEqual(rest, { topic: TOPICS.chunks.name, partition: 3, key: 'anna', value: Buffer.from(original.value) })
  const status = { key: 'anna', value: Buffer.from('{}'), headers: { kind: 'session-state', writer: 'completeness-1' } }
  const parkedStatus = await parked.park(status, 9n, 'mismatch', { topic: TOPICS.status.name })
  assert.deepEqual(toReplayed(parkedStatus, parkedNote(parkedStatus)!).headers, { kind: 'session-state' })
})

test('selections by session, reason and place hold together', async () => {
  const parked = new Parked()
  await parked.park(chunk('anna', 0), 70n, 'unwritable')
  await parked.park(chunk('anna', 1), 71n, 'other-content')
  await parked.park(chunk('ben', 0), 72n, 'unwritable')
  const chosen = (selection: Parameters<typeof select>[1]): bigint[] => select(parked.backlog.waiting, selection).map(({ offset }) => offset)
  assert.deepEqual(chosen({ session: 'anna', positions: [] }), [70n, 71n])
  assert.deepEqual(chosen({ session: 'anna', reason: 'unwritable', positions: [] }), [70n])
  assert.deepEqual(chosen({ positions: ['unwritable:3:2', '3:1', '3:0'] }), [71n, 72n])
  assert.deepEqual(chosen({ positions: [] }), [70n, 71n, 72n])
  const sums = summarize(parked.backlog.waiting).map(({ reason, records, sessions, bytes }) => ({ reason, records, sessions, bytes }))
  assert.deepEqual(sums, [
    { reason: 'unwritable', records: 2, sessions: 2, bytes: 5_000 },
    { reason: 'other-content', records: 1, sessions: 1, bytes: 2_500 },
  ])
})

test('the list shows what each record is, where it was read, why it is here, and what to do', async () => {
  const parked = new Parked()
  await parked.park(chunk('anna', 12), 70n, 'other-content')
  await parked.park(close('ben\u001B[2J'), 71n, 'invalid')
  const selection = { positions: [] }
  const text = describeBacklog(parked.backlog.waiting, { limit: 50, selection })
  assert.match(text, /3:0 .* anna .* chunk webcam 0b8f9f5e #12 +3 kB +other-content +recordings\.chunks 3:70 +longtake\.block-writer\n +other-content of 70\n/)
  assert.match(text, /unwritable:3:1 .* part-closed screen 0b8f9f5e /)
  assert.match(text, /other-content: look for two recorders with one part id/)
  assert.ok(!text.includes('\u001B'), 'a terminal is not moved by what was parked')
  assert.match(describeBacklog(parked.backlog.waiting, { limit: 1, selection }), /… and 1 older one: --limit 2/)
  assert.match(describeBacklog([], { limit: 1, selection }), /^Nothing is parked: /)
})

test('a replay of everything must be asked for by name', () => {
  assert.deepEqual(readCommand([]), { replay: false, dryRun: false, selection: { session: undefined, reason: undefined, positions: [] }, limit: 50 })
  assert.deepEqual(readCommand(['replay', '--reason', 'unwritable', '--dry-run', '3:1']).selection, { session: undefined, reason: 'unwritable', positions: ['3:1'] })
  assert.equal(readCommand(['replay', '--all']).replay, true)
  for (const wrong of [['replay'], ['replay', '--all', '--session', 'a'], ['repaly', '--all'], ['replay', '3'], ['--limit', '0'], ['--reasn', 'x']]) {
    assert.throws(() => readCommand(wrong), UsageError, wrong.join(' '))
  }
})
