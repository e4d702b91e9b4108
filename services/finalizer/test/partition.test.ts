import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { type BlobStore, deletePrefix, MemoryBlobStore, type MemoryFaults } from '@longtake/blob'
import { BLOBS, decodeEvent, encodeStatus, TOMBSTONE_DELETED_AT, type RecordingEvent, type SessionState } from '@longtake/contracts'
import type { KafkaRecord, OutgoingRecord } from '@longtake/kafka'
import { createLogger } from '@longtake/service'
import { FinalizerPartition } from '../src/partition.ts'
import { ContentReader } from '../src/read-content.ts'
import { mediaFile } from './media-file.ts'
import { NOW, Recording } from './recording.ts'

type Acknowledge = () => Promise<{ offset: bigint }>

function setUp(
  faults: MemoryFaults = {},
  answersFrom: (store: MemoryBlobStore) => BlobStore = (store) => store,
  acknowledge: Acknowledge = () => Promise.resolve({ offset: 0n }),
) {
  const store = new MemoryBlobStore(faults)
  const stopping = new AbortController()
  const sent: RecordingEvent[] = []
  const done: bigint[] = []
  const parked: string[] = []
  const partition = new FinalizerPartition({
    assigned: { signal: new AbortController().signal, done: (record) => void done.push(record.offset) },
    store: answersFrom(store),
    contents: new ContentReader(answersFrom(store)),
    producer: {
      send({ key, value, headers }: OutgoingRecord) {
        sent.push(decodeEvent({ key, value: value!, headers: { ...headers } }) as RecordingEvent)
        return acknowledge()
      },
    },
    parker: { park: (record, { reason, details }) => Promise.resolve(void parked.push(`${record.offset} ${reason}: ${details}`)) },
    eventsTopic: 'events',
    logger: createLogger({ service: 'test', level: 'silent' }),
    pauses: { firstMs: 1, maxMs: 2 },
    stopping: stopping.signal,
    now: () => NOW,
  })
  let next = 0n
  const raw = (fields: Partial<KafkaRecord>): Promise<void> =>
    partition.handle({ topic: 'status', partition: 0, offset: next++, key: 's1', value: Buffer.alloc(0), tombstone: false, headers: { kind: 'session-state' }, timestamp: 0, ...fields })
  const tell = (state: SessionState): Promise<void> => raw({ key: state.session, value: Buffer.from(encodeStatus(state).value) })
  const settled = async (count: number): Promise<void> => {
    while (done.length < count) await turn()
  }
  return { store, stopping, sent, done, parked, partition, raw, tell, settled }
}

test('a version is finalized once its status is complete, and told with its manifest', async () => {
  const { store, sent, tell, settled } = setUp()
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  await tell(recording.state)
  await tell(recording.finish('webcam'))
  await settled(2)
  const sound = [{ track: 'webcam', file: 0, commit: recording.state.tracks.webcam!.files[0]!.commit }]
  assert.deepEqual(sent, [{ type: 'session-finalized', session: 's1', at: new Date(NOW).toISOString(), version: 1, manifest: 's1/manifests/1.json', sound }])
  await tell({ ...recording.state, finalizedVersion: 1 })
  await settled(3)
  assert.equal(sent.length, 1)
})

test('while storage fails nothing is done and readiness says why; then it goes on', async () => {
  let broken = false
  const { store, sent, done, partition, tell, settled } = setUp({
    at() {
      if (broken) throw new Error('the storage broke')
    },
  })
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  broken = true
  await tell(recording.finish('webcam'))
  while (partition.fault === undefined) await turn()
  assert.match(partition.fault, /the storage broke/)
  assert.deepEqual(done, [])
  broken = false
  await settled(1)
  assert.equal(sent.length, 1)
  assert.equal(partition.fault, undefined)
})

test('a file that stays other than its status is reported once it was looked at again, and the version without it is not finalized', async () => {
  const { store, sent, parked, tell, settled } = setUp()
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  const state = recording.finish('webcam')
  const { commit } = state.tracks.webcam!.files[0]!
  await store.delete('s1/webcam/0')
  await tell(state)
  await settled(1)
  const fault = { startMs: null, endMs: null, cause: 'file-missing', detail: 'there is no such blob' }
  assert.deepEqual(sent, [{ type: 'file-verified', session: 's1', at: new Date(NOW).toISOString(), track: 'webcam', file: 0, commit, faults: [fault] }])
  assert.deepEqual(parked, [])
  assert.equal(await store.readAll(BLOBS.manifest('s1', 1)), null)
  await tell(recording.fold(sent[0]!))
  await settled(2)
  assert.deepEqual(sent.slice(1).map((event) => event.type === 'session-finalized' && event.version), [2])
  assert.equal(recording.state.status, 'complete-with-gaps')
})

test('a status that contradicts itself is parked with the reason, and no manifest exists', async () => {
  const { store, sent, parked, tell, settled } = setUp()
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  const state = recording.finish('webcam')
  const file = state.tracks.webcam!.files[0]!
  await tell({ ...state, tracks: { webcam: { files: [{ ...file, parts: [{ ...file.parts[0]!, chunks: 4 }] }] } } })
  await settled(1)
  assert.match(parked.join(), /^0 mismatch: part .* has 4 chunks, its stored ranges 5$/)
  assert.deepEqual(sent, [])
  assert.equal(await store.readAll(BLOBS.manifest('s1', 1)), null)
})

test('of statuses that wait only the newest is worked on, and one that fails makes way for it', async () => {
  let broken = false
  const { store, sent, done, partition, tell, settled } = setUp({
    at() {
      if (broken) throw new Error('the storage broke')
    },
  })
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  const first = recording.finish('webcam')
  await recording.commitWhole('webcam', 6)
  const second = recording.state
  await recording.commitWhole('webcam', 7)
  broken = true
  for (const state of [first, second, recording.state]) await tell(state)
  await settled(1)
  broken = false
  await settled(3)
  assert.deepEqual(sent.map((event) => event.type === 'session-finalized' && event.version), [3])
  assert.deepEqual(new Set(done), new Set([0n, 1n, 2n]))
  await partition.close()
})

for (const [ends, end] of Object.entries({
  closed: ({ partition }: ReturnType<typeof setUp>) => partition.close(),
  stopped: ({ partition, stopping }: ReturnType<typeof setUp>) => {
    stopping.abort(new Error('stopping'))
    return partition.close()
  },
})) {
  test(`${ends} while storage fails it ends, and leaves the record to the next`, async () => {
    let broken = false
    const started = setUp({
      at() {
        if (broken) throw new Error('the storage broke')
      },
    })
    const { store, done, partition, tell } = started
    const recording = new Recording(store, 's1')
    await recording.commitWhole('webcam', 5)
    broken = true
    await tell(recording.finish('webcam'))
    while (partition.fault === undefined) await turn()
    await end(started)
    assert.deepEqual(done, [])
  })

  test(`${ends} while it reads, it aborts the read, and leaves the record and all that wait to the next`, async () => {
    const reading = Promise.withResolvers<AbortSignal>()
    const answersFrom = (store: MemoryBlobStore): BlobStore =>
      new Proxy(store, {
        get(target, name) {
          if (name === 'readRange') {
            return (_blob: string, { signal }: { signal: AbortSignal }) => {
              reading.resolve(signal)
              return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
            }
          }
          const value: unknown = Reflect.get(target, name)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      })
    const started = setUp({}, answersFrom)
    const { store, sent, done, tell } = started
    const media = mediaFile()
    for (let i = 0; i < 20; i++) {
      const recording = new Recording(store, `s${i}`)
      await recording.commitFile('webcam', media.blocks, media.durationMs, media.stated)
      await tell(recording.finish('webcam'))
    }
    await reading.promise
    await end(started)
    assert.deepEqual([done, sent], [[], []])
    assert.ok((await reading.promise).aborted)
  })
}

test('closed while Kafka does not answer it ends, and leaves the record to the next', async () => {
  const sending = Promise.withResolvers<void>()
  const { store, done, partition, tell } = setUp({}, undefined, () => {
    sending.resolve()
    return new Promise(() => {})
  })
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  await tell(recording.finish('webcam'))
  await sending.promise
  await partition.close()
  assert.deepEqual(done, [])
})

test('a manifest written by one who did not hear of a deletion does not stay', async () => {
  const { store, sent, tell, settled } = setUp({
    async at(moment, change, blob) {
      // Everything is erased while the manifest is on its way.
      if (moment !== 'before' || change !== 'put' || blob !== BLOBS.manifest('s1', 1)) return
      await store.put(BLOBS.tombstone('s1'), Buffer.alloc(0), { contentType: 'text/plain', metadata: {} })
      await deletePrefix(store, BLOBS.session('s1'))
    },
  })
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  await tell(recording.finish('webcam'))
  await settled(1)
  assert.equal(await store.properties(BLOBS.manifest('s1', 1)), null)
  assert.deepEqual(sent, [])
})

test('of a deleted session no manifest stays', async () => {
  const { store, sent, tell, settled } = setUp()
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  await tell(recording.finish('webcam'))
  await settled(1)
  await store.put(BLOBS.tombstone('s1'), Buffer.alloc(0), { contentType: 'text/plain', metadata: {} })
  await tell(recording.fold({ type: 'session-deleted', session: 's1', at: new Date(NOW).toISOString() }))
  await settled(2)
  assert.equal(await store.readAll(BLOBS.manifest('s1', 1)), null)
  assert.equal(sent.length, 1)
})

test('the status of an earlier deletion, delivered again, takes nothing from a session that was created anew', async () => {
  const { store, sent, tell, settled } = setUp()
  const at = new Date(NOW - 1000).toISOString()
  const deleted = { status: 'deleted', deletedAt: at, deletion: { erasedAt: at } } as const
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  await tell(recording.finish('webcam'))
  await settled(1)
  await tell({ ...recording.state, ...deleted })
  await tell({ ...recording.state, ...deleted, deletion: { erasedAt: at, expiredAt: at } })
  await settled(3)
  assert.notEqual(await store.readAll(BLOBS.manifest('s1', 1)), null)
  assert.notEqual(await store.properties(BLOBS.file('s1', 'webcam', 0)), null)
  assert.deepEqual(sent.slice(1), [])
  await deletePrefix(store, BLOBS.session('s1'))
  await tell({ ...recording.state, ...deleted, deletion: { erasedAt: at, expiredAt: at } })
  await settled(4)
  // As after a crash before it was published; it concerns that deletion alone.
  assert.deepEqual(sent.slice(1), [{ type: 'session-forgotten', session: 's1', at: new Date(NOW).toISOString(), deletedAt: at }])
})

test('the status of an earlier deletion, delivered again, leaves the tombstone of a later one', async () => {
  const { store, sent, tell, settled } = setUp()
  const at = (ms: number): string => new Date(NOW + ms).toISOString()
  const first = new Recording(store, 's1').fold({ type: 'session-erased', session: 's1', at: at(0) })
  const metadata = { [TOMBSTONE_DELETED_AT]: at(2000) }
  await store.put(BLOBS.tombstone('s1'), Buffer.alloc(0), { contentType: 'text/plain', metadata })
  await tell({ ...first, deletion: { erasedAt: at(0), expiredAt: at(1000) } })
  await settled(1)
  assert.deepEqual((await store.properties(BLOBS.tombstone('s1')))?.metadata, metadata)
  assert.deepEqual(sent, [])
  await tell({ ...first, deletedAt: at(2000), deletion: { erasedAt: at(2000), expiredAt: at(3000) } })
  await settled(2)
  assert.equal(await store.properties(BLOBS.tombstone('s1')), null)
  assert.deepEqual(sent.map(({ type }) => type), ['session-forgotten'])
})

test('a deletion that has expired with blobs left, as an earlier version allowed, goes on until nothing is left', async () => {
  const { store, sent, tell, settled } = setUp()
  const at = new Date(NOW).toISOString()
  const recording = new Recording(store, 's1')
  await recording.commitWhole('webcam', 5)
  await store.put(BLOBS.tombstone('s1'), Buffer.alloc(0), { contentType: 'text/plain', metadata: {} })
  const expired = { ...recording.state, status: 'deleted', deletedAt: at, deletion: { expiredAt: at } } as const
  await tell(expired)
  await settled(1)
  assert.notEqual(await store.properties(BLOBS.tombstone('s1')), null, 'it stops late chunks')
  assert.notEqual(await store.properties(BLOBS.heldErasure(0, 's1')), null, 'block-writer retries the deletion')
  assert.deepEqual(sent, [])
  await deletePrefix(store, BLOBS.session('s1'))
  await tell({ ...expired, revision: 9, deletion: { ...expired.deletion, erasedAt: at } })
  await settled(2)
  assert.deepEqual([await store.properties(BLOBS.tombstone('s1')), sent.map(({ type }) => type)], [null, ['session-forgotten']])
})

test('the record of a deletion goes once it has expired, and only then is that told', async () => {
  const { store, sent, tell, settled } = setUp()
  const at = new Date(NOW).toISOString()
  await store.put(BLOBS.tombstone('s1'), Buffer.alloc(0), { contentType: 'text/plain', metadata: {} })
  const deleted = new Recording(store, 's1').fold({ type: 'session-erased', session: 's1', at })
  await tell(deleted)
  await settled(1)
  assert.notEqual(await store.properties(BLOBS.tombstone('s1')), null)
  await tell({ ...deleted, revision: 1, deletion: { erasedAt: at, expiredAt: at } })
  await settled(2)
  assert.equal(await store.properties(BLOBS.tombstone('s1')), null)
  assert.deepEqual(sent.map(({ type }) => type), ['session-forgotten'])
})

test('a status that cannot be read is parked, and tombstones are passed over', async () => {
  const { parked, done, raw } = setUp()
  await raw({ value: Buffer.from('{}') })
  await raw({ tombstone: true })
  assert.equal(parked.length, 1)
  assert.match(parked[0]!, /^0 invalid/)
  assert.deepEqual(done, [0n, 1n])
})
