import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOBS, LongtakeError, type ErrorCode } from '@longtake/contracts'
import { KafkaError } from '@longtake/kafka'
import { assertContent, checkRecording, loadRecording } from '@longtake/testkit'
import { newPart, SESSION, World, SETTINGS, type TestPart } from './harness.ts'

const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')

/** A record over whose bytes any code stumbles, as over a bug that only they meet. */
function makeUnreadable(world: World, offset: bigint): void {
  const { value } = world.log[Number(offset)]!
  for (const method of ['subarray', 'slice', 'copy', 'set']) {
    Object.defineProperty(value, method, {
      value: () => {
        throw new RangeError('a bug over these bytes')
      },
    })
  }
}

function record(world: World, part: TestPart, from = 0, to = chunks.length): bigint[] {
  const offsets: bigint[] = []
  for (let seq = from; seq < to; seq++) offsets.push(world.chunk(part, seq, chunks[seq]!))
  return offsets
}

const toldParked = (world: World, { part }: TestPart): [number, number][] =>
  world.events.flatMap((event) => (event.type === 'chunks-parked' && event.part === part ? [[event.from, event.to] as [number, number]] : []))

const webcam = (): TestPart => newPart({ mimeType })
const screen = (): TestPart => newPart({ mimeType, track: 'screen' })

test('the one record over which a track always fails is parked, all others are written; replayed after the repair it is merged', async () => {
  const world = new World({ settings: { retryMs: 250, maxRetryMs: 15_000 } })
  world.own()
  const [bad, good] = [webcam(), screen()]
  world.open(bad)
  world.open(good)
  const offsets = record(world, bad)
  record(world, good)
  makeUnreadable(world, offsets[4]!)
  await world.pass(20_000)
  assert.deepEqual(world.parked, [], 'a few failures prove nothing')
  assert.equal(world.partState(good.part, 'screen').chunks, chunks.length, 'the other track goes on meanwhile')
  await world.pass(40_000)
  assert.deepEqual(world.parked, [{ offset: offsets[4], reason: 'unwritable', details: 'RangeError: a bug over these bytes' }])
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(world.partState(bad.part).stored, [[0, 3], [5, chunks.length - 1]])
  assert.deepEqual(toldParked(world, bad), [[4, 4]])

  world.own()
  world.chunk(bad, 4, chunks[4]!)
  world.closePart(bad, chunks.length)
  await world.pass(10_000)
  assert.deepEqual(world.partState(bad.part).missing, [])
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...bad, chunks }] }).findings)
})

test('a track that has failed so before is not waited for again', async () => {
  const world = new World()
  world.own()
  const part = webcam()
  world.open(part)
  const offsets = record(world, part, 0, 5)
  makeUnreadable(world, offsets[2]!)
  await world.pass(60_000)
  assert.equal(world.parked.length, 1)
  const later = record(world, part, 5)
  makeUnreadable(world, later[0]!)
  world.closePart(part, chunks.length)
  await world.pass(2_000)
  assert.deepEqual(world.parked.map(({ offset }) => offset), [offsets[2], later[0]])
  assert.equal(world.committedOffset, world.log.length)
})

test('a track that cannot be loaded: all that comes of it is parked, the partition goes on, and it is left alone until more comes', async ({ mock }) => {
  const world = new World()
  world.own()
  const part = webcam()
  world.open(part)
  record(world, part, 0, 3)
  await world.pass(5_000)
  for (const name of await world.names(BLOBS.checkpointPrefix(SESSION, 'webcam', 0))) await world.memory.put(name, Buffer.from('broken'), { contentType: 'text/plain', metadata: {} })
  world.own()
  const rest = record(world, part, 3)
  const other = screen()
  world.open(other)
  record(world, other)
  await world.pass(60_000)
  assert.deepEqual(world.parked.map(({ offset }) => offset), rest)
  assert.deepEqual(toldParked(world, part), rest.map((_, i) => [i + 3, i + 3]))
  assert.ok(world.parked.every(({ reason, details }) => reason === 'unwritable' && details.includes('is damaged, and no earlier one is left')))
  assert.equal(world.partState(other.part, 'screen').chunks, chunks.length)
  assert.equal(world.committedOffset, world.log.length)
  const listing = mock.method(world.memory, 'list')
  await world.pass(100_000)
  assert.equal(listing.mock.callCount(), 0)
})

test('no trouble of storage or Kafka, however long and whatever they call it, parks anything', async () => {
  const codes: ErrorCode[] = ['BLOB_UNAVAILABLE', 'BLOB_FORBIDDEN', 'BLOB_CONTAINER_MISSING', 'BLOB_HELD', 'BLOB_REFUSED']
  let fails = false
  let failures = 0
  const world = new World({
    faults: {
      at: () => {
        if (fails) throw new LongtakeError(codes[failures++ % codes.length]!, 'storage is not well')
      },
    },
    refuse: () => (fails && failures++ % 2 === 0 ? new KafkaError('KAFKA_REFUSED', 'Kafka is not well') : null),
  })
  world.own()
  const part = webcam()
  world.open(part)
  record(world, part, 0, 3)
  await world.pass(5_000)
  fails = true
  record(world, part, 3)
  world.closePart(part, chunks.length)
  await world.pass(200_000)
  assert.ok(failures > 20, `${failures} failures`)
  assert.deepEqual(world.parked, [])
  fails = false
  await world.pass(20_000)
  assert.equal(world.committedOffset, world.log.length)
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
})

test('a record is not done before it is parked', async () => {
  let refuses = true
  const world = new World({ refuseToPark: () => (refuses ? new KafkaError('KAFKA_DELIVERY_TIMEOUT', 'Kafka is away') : null) })
  world.own()
  const part = webcam()
  world.open(part)
  const offsets = record(world, part)
  makeUnreadable(world, offsets[4]!)
  await world.pass(90_000)
  assert.equal(world.committedOffset, Number(offsets[4]))
  refuses = false
  await world.pass(20_000)
  assert.deepEqual(world.parked.map(({ offset }) => offset), [offsets[4]])
  assert.equal(world.committedOffset, world.log.length)
})

test('a file with very many blocks takes no further part: the track goes on in another', async () => {
  const world = new World({ settings: { limits: { ...SETTINGS.limits, fullAtBlocks: 1 } } })
  world.own()
  const first = webcam()
  const second = newPart({ mimeType, startedAt: new Date(Date.parse(first.startedAt) + 60_000).toISOString() })
  for (const part of [first, second]) {
    world.open(part)
    record(world, part)
    world.closePart(part, chunks.length)
    await world.pass(5_000)
  }
  assertContent(checkRecording({ file: await world.file('webcam', 0), parts: [{ ...first, chunks }] }).findings)
  assertContent(checkRecording({ file: await world.file('webcam', 1), parts: [{ ...second, chunks }] }).findings)
})

test('a part that needs more blocks than a blob can have keeps what is in it; the rest is parked and says why', async () => {
  const world = new World({ settings: { commitLimits: { ...SETTINGS.commitLimits, maxBlocks: 4 } } })
  world.own()
  const part = webcam()
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) {
    world.chunk(part, seq, bytes)
    await world.pass(30_000)
  }
  await world.pass(60_000)
  assert.equal(world.committedOffset, world.log.length)
  const { stored } = world.partState(part.part)
  assert.ok(world.parked.length > 0 && world.parked.length < chunks.length)
  assert.ok(world.parked.every(({ details }) => details.includes('a blob has at most 4')), world.parked[0]?.details)
  assert.deepEqual(stored, [[0, chunks.length - world.parked.length - 1]])
  assert.equal((await world.file()).length, world.lastCommit().bytes)
})

test('a parked record that a damaged checkpoint gives back: the others of the track are written, and it stays parked', async () => {
  const world = new World({ settings: { retryMs: 250, maxRetryMs: 15_000 } })
  world.own()
  const [part, other] = [webcam(), screen()]
  world.open(part)
  record(world, part, 0, 4)
  await world.pass(5_000)
  const [bad] = record(world, part, 4, 5)
  makeUnreadable(world, bad!)
  record(world, part, 5, 6)
  await world.pass(61_000)
  assert.deepEqual(world.parked.map(({ offset }) => offset), [bad])
  await world.close('shutdown')
  const { metadata } = (await world.memory.properties(BLOBS.file(SESSION, 'webcam', 0)))!
  await world.memory.put(metadata['checkpoint']!, Buffer.from('foreign'), { contentType: 'application/octet-stream', metadata: {} })
  world.own()
  world.open(other)
  record(world, other)
  record(world, part, 6)
  world.closePart(part, chunks.length)
  await world.pass(61_000)
  assert.equal(world.partState(other.part, 'screen').chunks, chunks.length)
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(world.partState(part.part).stored, [[0, 3], [5, chunks.length - 1]])
  assert.deepEqual(new Set(world.parked.map(({ offset }) => offset)), new Set([bad]))
})
