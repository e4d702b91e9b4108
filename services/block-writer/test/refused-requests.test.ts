import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOBS, LongtakeError, type ErrorCode } from '@longtake/contracts'
import { assertContent, checkRecording, syntheticChunks } from '@longtake/testkit'
import { newPart, recordPart, SESSION, World } from './harness.ts'

const made = (seed: number): Uint8Array[] => syntheticChunks({ durationMs: 20_000, seed, chunkEveryMs: 1_000, keyframeEveryMs: 3_000 })
const file = (number: number, track = 'webcam'): string => BLOBS.file(SESSION, track, number)

interface Request {
  readonly operation: 'stage block' | 'commit blocks' | 'put'
  readonly blob: string
  readonly bytes: number
}

/** A world whose storage refuses some requests with an error of this code. */
function refusingWorld(code: ErrorCode): { world: World; refuse: (which: (request: Request) => boolean) => void } {
  const world = new World({ settings: { retryMs: 250, maxRetryMs: 15_000 } })
  let isRefused: (request: Request) => boolean = () => false
  const check = (operation: Request['operation'], blob: string, bytes: number): void => {
    if (isRefused({ operation, blob, bytes })) throw new LongtakeError(code, `${operation} of ${blob} is refused`)
  }
  const { memory } = world
  const { stageBlock, commitBlockList, put } = { stageBlock: memory.stageBlock.bind(memory), commitBlockList: memory.commitBlockList.bind(memory), put: memory.put.bind(memory) }
  memory.stageBlock = async (blob, id, bytes, call) => (check('stage block', blob, bytes.length), stageBlock(blob, id, bytes, call))
  memory.commitBlockList = async (blob, ids, options) => (check('commit blocks', blob, 0), commitBlockList(blob, ids, options))
  memory.put = async (blob, bytes, options) => (check('put', blob, bytes.length), put(blob, bytes, options))
  return { world, refuse: (which) => void (isRefused = which) }
}

async function assertOthersWritten(world: World): Promise<void> {
  const other = newPart({ track: 'screen' })
  await recordPart(world, other, made(9))
  assertContent(checkRecording({ file: await world.file('screen'), parts: [{ ...other, chunks: made(9) }] }).findings)
}

test('requests that are too large: the track is written by smaller ones', async () => {
  const { world, refuse } = refusingWorld('BLOB_CONTENT_REFUSED')
  const chunks = made(1)
  const largest = Math.max(...chunks.map(({ length }) => length))
  refuse(({ operation, bytes }) => operation === 'stage block' && bytes > Math.max(3 * largest, 70_000))
  world.own()
  const part = newPart()
  await recordPart(world, part, chunks)
  await world.pass(120_000)
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(world.parked, [])
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
})

for (const code of ['BLOB_CONTENT_REFUSED', 'BLOB_REFUSED'] as const) {
  test(`${code} of the blocks of one chunk: it alone is parked, all others are written`, async () => {
    const { world, refuse } = refusingWorld(code)
    const chunks = made(2)
    chunks[7] = Buffer.concat([chunks[7]!, new Uint8Array(200_000)])
    refuse(({ blob, bytes }) => blob.includes('/webcam/') && bytes > 150_000)
    world.own()
    const part = newPart()
    await recordPart(world, part, chunks)
    await world.pass(120_000)
    assert.equal(world.committedOffset, world.log.length)
    assert.deepEqual(world.parked.map(({ reason }) => reason), ['unwritable'])
    assert.deepEqual(world.partState(part.part).stored, [[0, 6], [8, 19]])
    await assertOthersWritten(world)
  })
}

for (const operations of [['stage block'], ['commit blocks'], ['stage block', 'commit blocks']] as const) {
  test(`a file that refuses ${operations.join(' and ')} for a reason that nobody knows is closed, and its parts go on in the next one`, async () => {
    const { world, refuse } = refusingWorld('BLOB_REFUSED')
    const chunks = made(3)
    world.own()
    const part = newPart()
    await recordPart(world, part, chunks, { late: [7] })
    refuse(({ operation, blob }) => blob === file(0) && (operations as readonly string[]).includes(operation))
    world.chunk(part, 7, chunks[7]!)
    await world.pass(60_000)
    assert.equal(world.committedOffset, world.log.length)
    assert.deepEqual(world.parked, [])
    assert.deepEqual(world.partState(part.part, 'webcam', 1).stored, [[0, 19]])
    await assertOthersWritten(world)
  })
}

test('a name under which no file can be begun is passed over', async () => {
  const { world, refuse } = refusingWorld('BLOB_REFUSED')
  const chunks = made(4)
  world.own()
  refuse(({ operation, blob }) => blob === file(0) && operation === 'stage block')
  const part = newPart()
  await recordPart(world, part, chunks)
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(world.parked, [])
  assertContent(checkRecording({ file: await world.file('webcam', 1), parts: [{ ...part, chunks }] }).findings)
})

test('storage that refuses all that is written is an outage: nothing is parked, no file is closed, and all is written when it ends', async () => {
  for (const operation of ['stage block', 'commit blocks', 'put'] as const) {
    const { world, refuse } = refusingWorld('BLOB_REFUSED')
    const chunks = made(5)
    world.own()
    const part = newPart()
    await recordPart(world, part, chunks, { late: [7] })
    refuse((request) => request.operation === operation)
    world.chunk(part, 7, chunks[7]!)
    await world.pass(300_000)
    assert.ok(world.committedOffset < world.log.length, operation)
    refuse(() => false)
    await world.pass(60_000)
    assert.equal(world.committedOffset, world.log.length, operation)
    assert.deepEqual(world.parked, [], operation)
    assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings, operation)
  }
})

test('a checkpoint that may not be written under its name is written under another: no commit names one that is not there', async () => {
  let refusals = 0
  const world = new World({ settings: { retryMs: 250, maxRetryMs: 15_000 } })
  const put = world.memory.put.bind(world.memory)
  world.memory.put = async (blob, bytes, options) => (blob.includes('/checkpoints/') && refusals++ < 2 ? { outcome: 'held' } : put(blob, bytes, options))
  world.own()
  const part = newPart()
  const chunks = made(6)
  await recordPart(world, part, chunks)
  world.own()
  world.chunk(part, 3, chunks[3]!)
  await world.pass(40_000)
  assert.deepEqual(world.partState(part.part).stored, [[0, 19]])
  assert.deepEqual([await world.memory.properties(file(1)), world.parked], [null, []])
})
