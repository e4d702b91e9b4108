import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeChunkRecord } from '@longtake/contracts'
import { KafkaError } from '@longtake/kafka'
import { assertContent, checkRecording, concat, loadRecording, recut, syntheticChunks } from '@longtake/testkit'
import { newPart, SESSION, STARTED_AT, World } from './harness.ts'

const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')
const kinds = (world: World): string[] => world.events.map(({ type }) => type)

test('declarations may come before, between or behind the chunks', async () => {
  for (const when of ['first', 'last'] as const) {
    const world = new World()
    world.own()
    const part = newPart({ mimeType })
    const declare = (): void => {
      world.closePart(part, chunks.length)
      world.declare({ type: 'chunks-lost', session: SESSION, track: part.track, part: part.part, from: 3, to: 4, cause: 'quota', at: world.at() })
      world.open(part)
    }
    if (when === 'first') declare()
    await world.pass(40_000)
    for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
    await world.pass(40_000)
    world.own()
    if (when === 'last') declare()
    await world.pass(40_000)
    assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings, when)
    const state = world.partState(part.part)
    assert.deepEqual(state.lost, [{ from: 3, to: 4, cause: 'quota' }])
    assert.deepEqual(state.missing, [], 'data outweighs what is declared lost')
    assert.equal(world.committedOffset, world.log.length)
  }
})

test('what is declared lost is not waited for', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  world.declare({ type: 'chunks-lost', session: SESSION, track: part.track, part: part.part, from: 2, to: 2, cause: 'quota', at: world.at() })
  for (const [seq, bytes] of chunks.entries()) if (seq !== 2) world.chunk(part, seq, bytes)
  await world.pass(2_500)
  assert.equal(world.committedOffset, world.log.length)
  assert.equal(world.partState(part.part).chunks, chunks.length - 1)
})

test('chunks behind a hole wait for it, and no offset passes them', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const seq of [0, 1, 3, 4]) world.chunk(part, seq, chunks[seq]!)
  await world.pass(4_000)
  assert.equal(world.committedOffset, 3)
  world.own()
  world.chunk(part, 2, chunks[2]!)
  await world.pass(1_000)
  assert.equal(world.partState(part.part).chunks, 2, 'the new owner waits anew')
  await world.pass(30_000)
  assert.deepEqual(world.partState(part.part).stored, [[0, 4]])
  assert.equal(world.lastCommit().generation, 0)
})

test('a silent stream is committed all the same', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const seq of [0, 1, 2]) world.chunk(part, seq, chunks[seq]!)
  await world.pass(3_000)
  for (const seq of [3, 4]) world.chunk(part, seq, chunks[seq]!)
  await world.pass(31_000)
  assert.equal(world.committedOffset, world.log.length)
})

test('a client that leaves, a session that ends and an orderly hand-over commit at once', async () => {
  for (const how of ['client-left', 'session-finished', 'revoked'] as const) {
    const world = new World()
    world.own()
    const part = newPart({ mimeType })
    world.open(part)
    for (const seq of [0, 1, 2]) world.chunk(part, seq, chunks[seq]!)
    await world.pass(3_000)
    for (const seq of [3, 4]) world.chunk(part, seq, chunks[seq]!)
    await world.settle()
    assert.equal(world.committedOffset, 4)
    if (how === 'client-left') world.declare({ type: how, session: SESSION, client: part.client, at: world.at() })
    if (how === 'session-finished') world.declare({ type: how, session: SESSION, parts: null, at: world.at() })
    await world.settle()
    if (how === 'revoked') await world.close('revoked')
    assert.equal(world.committedOffset, world.log.length, how)
    assert.equal(world.partState(part.part).chunks, 5, how)
  }
})

test('the end of a session is said again only behind all that was before it, holes or not', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const seq of [0, 1, 5]) world.chunk(part, seq, chunks[seq]!)
  const offset = world.declare({ type: 'session-finished', session: SESSION, parts: { webcam: [part.part] }, scope: 'session', at: world.at() })
  await world.settle()
  assert.deepEqual(kinds(world), ['blocks-committed', 'session-finished'])
  assert.deepEqual(world.partState(part.part).stored, [[0, 1], [5, 5]])
  const finished = world.events.find((event) => event.type === 'session-finished')
  assert.deepEqual([finished?.parts, finished?.scope, finished?.offset], [{ webcam: [part.part] }, 'session', String(offset)])
  assert.equal(world.committedOffset, world.log.length)
})

test('of several closes the one with most chunks counts, and of equal ones a clean one: nothing that was declared is forgotten', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const seq of [0, 1, 2]) world.chunk(part, seq, chunks[seq]!)
  const closes = async (chunks: number, clean: boolean): Promise<unknown> => {
    world.closePart(part, chunks, clean)
    await world.settle()
    return world.partState(part.part).closed
  }
  assert.deepEqual(await closes(3, false), { chunks: 3, clean: false })
  assert.deepEqual(await closes(8, false), { chunks: 8, clean: false })
  assert.deepEqual(await closes(8, true), { chunks: 8, clean: true })
  assert.deepEqual(await closes(8, false), { chunks: 8, clean: true })
  // A page that came back after a crash may know of fewer than the one that crashed had declared.
  assert.deepEqual(await closes(3, false), { chunks: 8, clean: true })
  world.own()
  assert.deepEqual(await closes(3, true), { chunks: 8, clean: true })
})

test('a chunk that waits at a hole is here: it is not told of as lost when it is declared so', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const seq of [0, 1, 3]) world.chunk(part, seq, chunks[seq]!)
  world.declare({ type: 'chunks-lost', session: SESSION, track: part.track, part: part.part, from: 3, to: 3, cause: 'spool-cleared', at: world.at() })
  await world.pass(2_500)
  for (const event of world.events) if (event.type === 'blocks-committed') for (const { stored, lost } of event.parts) assert.deepEqual([stored, lost.length], [[[0, 1], [3, 3]], 1])
  assert.equal(world.events.length, 1)
})

test('another payload under a known identity is parked, whether the first is waiting, in memory or committed', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  const forged: bigint[] = []
  for (const seq of [0, 1, 3]) {
    world.chunk(part, seq, chunks[seq]!)
    forged.push(world.chunk(part, seq, chunks[seq + 1]!))
  }
  await world.pass(40_000)
  world.own()
  for (const seq of [0, 1, 3]) forged.push(world.chunk(part, seq, chunks[seq + 1]!))
  world.chunk(part, 0, chunks[0]!)
  await world.settle()
  assert.deepEqual(world.parked.map(({ offset }) => offset), forged)
  assert.ok(world.parked.every(({ reason }) => reason === 'other-content'))
  assert.equal(world.committedOffset, world.log.length)
})

test('what is no recording is refused, said so, and keeps nobody else up', async () => {
  const world = new World()
  world.own()
  const [bad, good] = [newPart(), newPart({ mimeType })]
  world.open(bad)
  world.open(good)
  world.chunk(bad, 0, Buffer.from('GIF89a, and more of it'))
  for (const [seq, bytes] of chunks.entries()) world.chunk(good, seq, bytes)
  await world.pass(3_000)
  assert.equal(world.partState(bad.part).rejected?.code, 'REC_NOT_A_RECORDING')
  world.own()
  const later = world.chunk(bad, 1, Buffer.from('more'))
  await world.settle()
  assert.deepEqual(world.parked.map(({ offset, reason }) => [offset, reason]), [[later, 'not-a-recording']])
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...good, chunks }], growing: true }).findings)
})

test('a part that ends cleanly within a frame is not called playable to its end', async () => {
  for (const clean of [true, false]) {
    const world = new World()
    world.own()
    const part = newPart({ mimeType })
    world.open(part)
    for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, seq === chunks.length - 1 ? bytes.subarray(0, -100) : bytes)
    await world.pass(5_000)
    assert.deepEqual(world.partState(part.part).undecodable, [], 'it may yet go on')
    world.closePart(part, chunks.length, clean)
    await world.pass(5_000)
    const last = chunks.length - 1
    assert.deepEqual(world.partState(part.part).undecodable.map(({ from, to }) => [from, to]), clean ? [[last, last]] : [])
  }
})

test('a track of which too much is to be said for one record keeps no partition up', async () => {
  const world = new World({ refuse: (event) => (event.type === 'blocks-committed' && event.parts.some((part) => part.missing.length > 20) ? new KafkaError('KAFKA_RECORD_TOO_LARGE', 'too large') : null) })
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
  for (let i = 0; i < 30; i++) world.chunk(part, 1_000 + 2 * i, Buffer.from([i]))
  await world.pass(70_000)
  assert.equal(world.committedOffset, world.log.length)
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }], growing: true }).findings)
})

test('a MIME type that storage cannot carry keeps no track up', async () => {
  for (const [mimeType, stored] of [['video/webm;codecs=é', 'video/webm'], ['video/webm;\u0000', 'video/webm'], ['video/webm; ', 'video/webm;']] as const) {
    const world = new World()
    world.own()
    const part = newPart({ mimeType })
    world.open(part)
    for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
    world.closePart(part, chunks.length)
    await world.pass(40_000)
    assert.equal(world.committedOffset, world.log.length)
    assert.equal(world.lastCommit().mimeType, stored)
  }
})

test('records that cannot be read are parked', async () => {
  const world = new World()
  world.own()
  const offset = world.append({ key: SESSION, value: Buffer.from('?'), headers: { kind: 'from-the-future' } })
  await world.settle()
  assert.deepEqual(world.parked.map(({ offset, reason }) => [offset, reason]), [[offset, 'unknown-kind']])
  assert.equal(world.committedOffset, 1)
})

test('a deleted session leaves nothing, and what still comes of it is dropped', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  const other = newPart({ mimeType, track: 'screen' })
  for (const one of [part, other]) {
    world.open(one)
    for (const [seq, bytes] of chunks.entries()) if (seq !== 4) world.chunk(one, seq, bytes)
  }
  await world.pass(9_000)
  assert.ok((await world.names(`${SESSION}/`)).length > 3)
  world.chunk(part, 4, chunks[4]!)
  world.declare({ type: 'session-deleted', session: SESSION, at: world.at() })
  world.chunk(other, 4, chunks[4]!)
  await world.pass(40_000)
  world.own()
  world.chunk(part, 5, chunks[5]!)
  await world.pass(40_000)
  assert.deepEqual(await world.names(`${SESSION}/`), [])
  assert.equal(kinds(world).filter((kind) => kind === 'session-erased').length, 1)
  assert.equal(world.committedOffset, world.log.length)
})

test('a writer that did not hear of a deletion leaves nothing of what it was writing', async () => {
  for (const change of ['put', 'stage block', 'commit blocks'] as const) {
    let shut: PromiseWithResolvers<void> | null = null
    const world: World = new World({
      faults: {
        async at(moment, what) {
          const held = moment === 'before' && what === change ? shut : null
          if (held === null) return
          shut = null
          await held.promise
        },
      },
    })
    world.own()
    const part = newPart({ mimeType })
    world.open(part)
    for (const seq of [0, 1, 2]) world.chunk(part, seq, chunks[seq]!)
    await world.pass(5_000)
    const held = (shut = Promise.withResolvers<void>())
    for (const seq of [3, 4, 6]) world.chunk(part, seq, chunks[seq]!)
    await world.pass(31_000)
    world.own({ zombie: true })
    world.declare({ type: 'session-deleted', session: SESSION, at: world.at() })
    await world.pass(5_000)
    assert.ok(kinds(world).includes('session-erased'))
    held.resolve()
    await world.pass(40_000)
    assert.deepEqual(await world.names(`${SESSION}/`), [], change)
  }
})

test('an event that was lost with its process is said by the next one', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) world.chunk(part, seq, bytes)
  world.closePart(part, chunks.length)
  await world.settle()
  const said = world.lastCommit()
  world.events.length = 0
  world.done.clear()
  world.own()
  await world.settle()
  const { at: _at, ...again } = world.events.find((event) => event.type === 'blocks-committed')!
  const { at: _before, ...before } = said
  assert.deepEqual(again, before)
  assert.equal(world.committedOffset, world.log.length)
})

test('a zombie and its successor, both writing: nothing is lost or doubled', async () => {
  const world = new World()
  world.own()
  const part = newPart({ mimeType: 'video/webm;codecs=vp9,opus' })
  const pieces = recut(concat(syntheticChunks({ durationMs: 30_000, seed: 5 })), 5).slice(0, 200)
  world.open(part)
  for (const [seq, bytes] of pieces.entries()) {
    world.chunk(part, seq, bytes)
    // The old owner is not told: its writer goes on with what it has until storage refuses it.
    if (seq % 40 === 20) world.own({ zombie: true })
    await world.pass(seq % 3 === 0 ? 3_000 : 500)
  }
  world.closePart(part, pieces.length)
  await world.pass(40_000)
  const { findings } = checkRecording({ file: await world.file(), parts: [{ ...part, chunks: pieces }] })
  assertContent(findings)
  assert.equal(world.committedOffset, world.log.length)
})

test('above the byte budget nothing more is taken until there is room, and nothing is lost', async () => {
  const world = new World({ budget: 300_000 })
  world.own()
  const recordings = Array.from({ length: 6 }, (_, i) => ({ part: newPart({ track: `screen-${i}` }), chunks: syntheticChunks({ durationMs: 8_000, seed: i, bytesPerSecond: 50_000 }) }))
  for (const { part } of recordings) world.open(part)
  for (let seq = 0; seq < 8; seq++) for (const { part, chunks } of recordings) world.chunk(part, seq, chunks[seq]!)
  await world.pass(40_000)
  assert.ok(world.mostBuffered < 300_000 + 200_000, `${world.mostBuffered} bytes at most`)
  for (const { part, chunks } of recordings) {
    assertContent(checkRecording({ file: await world.file(part.track), parts: [{ ...part, chunks: chunks.slice(0, 8) }], growing: true }).findings)
    assert.equal(world.partState(part.part, part.track).chunks, 8)
  }
  assert.equal(world.committedOffset, world.log.length)
})

test('storage that fails for a while delays, and loses nothing', async () => {
  let broken = false
  const world = new World({
    faults: {
      at() {
        if (broken) throw new Error('503')
      },
    },
  })
  world.own()
  const part = newPart({ mimeType })
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) {
    world.chunk(part, seq, bytes)
    broken = seq > 5 && seq < 12
    await world.pass(1_000)
  }
  world.closePart(part, chunks.length)
  await world.pass(20_000)
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings)
  assert.equal(world.committedOffset, world.log.length)
})

test('an MP4 lasts as long as its fragments say, whatever its capture times', async () => {
  const mp4 = loadRecording('chrome-mp4')
  const world = new World()
  world.own()
  const part = newPart({ mimeType: mp4.mimeType })
  world.open(part)
  for (const [seq, payload] of mp4.chunks.entries()) {
    const { createHash } = await import('node:crypto')
    world.append(encodeChunkRecord({ session: SESSION, ...part, seq, sha256: createHash('sha256').update(payload).digest('hex'), capturedAt: STARTED_AT + (seq + 1) * 700, payload }))
  }
  world.closePart(part, mp4.chunks.length)
  await world.settle()
  assert.equal(world.lastCommit().durationMs, 11_990)
})
