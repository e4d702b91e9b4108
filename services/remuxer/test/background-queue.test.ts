import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KafkaRecord } from '@longtake/kafka'
import { createLogger } from '@longtake/service'
import { Conditions } from '@longtake/testkit'
import { BackgroundQueue } from '../src/background-queue.ts'
import { missingDecodings, type PlannedDecoding } from '../src/plan.ts'
import { finalizedState } from './support.ts'

const recordOf = (key: string, offset: bigint): KafkaRecord => ({
  topic: 'status',
  partition: 0,
  offset,
  key,
  value: Buffer.alloc(50_000),
  tombstone: false,
  headers: {},
  timestamp: 0,
})
const plannedOf = (session: string): PlannedDecoding => ({
  session,
  version: 1,
  track: 'webcam',
  source: { file: 0, blob: 'b', mimeType: 'video/webm', codecs: [] },
  sealed: {
    blob: 'b',
    snapshot: 's',
    etag: 'e',
    mimeType: 'video/webm',
    bytes: 1,
    durationMs: 1,
    startOffsetMs: 0,
    commit: { number: 1, id: 'c' },
    blocks: { count: 1, sha256: '' },
    parts: [],
  },
})

/** A queue whose work ends when it is let. */
function setUp() {
  const stop = new AbortController()
  const started: { session: string; valueBytes: number; end: () => void }[] = []
  const done: bigint[] = []
  const progress = new Conditions()
  const queue = new BackgroundQueue<PlannedDecoding>({
    work: (record, { session }) =>
      new Promise((resolve, reject) => {
        started.push({ session, valueBytes: record.value.length, end: resolve })
        stop.signal.addEventListener('abort', () => reject(stop.signal.reason as Error))
        progress.changed()
      }),
    done: ({ offset }) => {
      done.push(offset)
      progress.changed()
    },
    signal: stop.signal,
    logger: createLogger({ service: 'remuxer', level: 'silent' }),
    delays: { firstMs: 1, maxMs: 1 },
  })
  const until = (what: string, holds: () => boolean): Promise<void> =>
    progress.until(what, holds, 10_000, () => JSON.stringify([started.length, done.map(String)]))
  const put = (session: string, offset: bigint, needs = true): Promise<void> =>
    queue.set({ record: recordOf(session, offset), planned: needs ? [plannedOf(session)] : [] })
  return { queue, stop, started, done, until, put }
}

test('of each session the newest status is decoded, one after the other, and no record is done before', async () => {
  const { started, done, until, put } = setUp()
  await put('a', 1n)
  await put('b', 2n)
  await put('b', 3n)
  await put('c', 4n, false)
  assert.deepEqual([started.map(({ session }) => session), done], [['a'], [2n, 4n]])
  assert.equal(started[0]!.valueBytes, 0, 'a status that waits is not kept in memory')
  started[0]!.end()
  await until('b has started', () => started.length === 2)
  assert.deepEqual(done, [2n, 4n, 1n])
  started[1]!.end()
  await until('b is done', () => done.length === 4)
  await put('d', 5n)
  assert.deepEqual(
    started.map(({ session }) => session),
    ['a', 'b', 'd'],
    'it starts again after it was empty',
  )
})

test('a status that needs nothing any more takes the place of one that waits', async () => {
  const { started, done, put } = setUp()
  await put('a', 1n)
  await put('b', 2n)
  await put('b', 3n, false)
  assert.deepEqual([started.length, done], [1, [2n, 3n]])
})

test('a full queue makes the partition wait, and a stop ends that without calling anything done', async () => {
  const { queue, stop, started, done, until, put } = setUp()
  let waits: Promise<void> | undefined
  for (let i = 0; i <= 2_001; i++) waits = put(`s${i}`, BigInt(i))
  let hasRoom = false
  void waits!.then(() => (hasRoom = true))
  await until('the first has started', () => started.length === 1)
  assert.equal(hasRoom, false)
  started[0]!.end()
  await until('the second has started', () => started.length === 2)
  await waits
  const blocked = put('one-more', 5_000n)
  stop.abort(new Error('stopping'))
  await blocked
  await queue.close()
  assert.deepEqual([started.length, done], [2, [0n]])
})

test('what waits to be decoded holds nothing of the parts of a session', () => {
  const file = { bytes: new Uint8Array(10), mimeType: 'video/webm', codecs: ['V_VP9'] }
  const state = finalizedState([file])
  const sealed = { ...plannedOf('exam-17').sealed, blob: state.tracks['webcam']!.files[0]!.blob }
  const manifest = { tracks: { webcam: { files: [sealed], parts: [] } } } as unknown as Parameters<
    typeof missingDecodings
  >[1]
  assert.deepEqual(Object.keys(missingDecodings(state, manifest)[0]!.source), ['file', 'blob', 'mimeType', 'codecs'])
})
