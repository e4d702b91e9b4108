import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeChunkRecord, type ChunkRecord } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import { ByteBudget } from '../src/budget.ts'
import { Track, type TrackDeclaration } from '../src/core/index.ts'
import { OpenRecords } from '../src/open-records.ts'
import { newPart, SESSION, SETTINGS, STARTED_AT, World } from './harness.ts'

/** A world that counts how often anything looks at the settings, as who compares a track with its limit does. */
class CountingWorld extends World {
  looks = 0

  constructor() {
    super()
    const count = (): void => void this.looks++
    Object.assign(this, {
      settings: new Proxy(SETTINGS, {
        get(target, name) {
          count()
          return Reflect.get(target, name)
        },
      }),
    })
  }
}

/** Looks for each of the last 100 of so many records, which no commit covers. */
async function looksPerRecord(records: number, tracks: number): Promise<number> {
  const world = new CountingWorld()
  world.own()
  const parts = Array.from({ length: tracks }, (_, i) => newPart({ track: `t${i}` }))
  for (const part of parts) world.open(part)
  await world.settle()
  const send = async (count: number, from: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const part = parts[i % tracks]!
      world.append(encodeChunkRecord({ session: SESSION, ...part, seq: from + Math.floor(i / tracks), sha256: '0'.repeat(64), capturedAt: STARTED_AT, payload: Uint8Array.of(1) }))
      await world.hand()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await send(records - 100, 0)
  world.looks = 0
  await send(100, records)
  return world.looks / 100
}

/** Looks at entries for each of the last 100 of so many records, while no commit covers any. */
function looksAtEntries(count: number, held: boolean): number {
  let looks = 0
  const records = new OpenRecords(new ByteBudget(2 ** 40).open(() => {}), () => {})
  const part = newPart()
  for (let i = 0; i < count; i++) {
    if (i === count - 100) looks = 0
    const content: ChunkRecord = { kind: 'chunk', session: SESSION, ...part, seq: i, sha256: '', capturedAt: 0, payload: Uint8Array.of(1) }
    const record = { topic: 't', partition: 0, offset: BigInt(i), key: SESSION, value: content.payload, headers: {}, timestamp: 0, tombstone: false } as unknown as KafkaRecord
    records.add(new Proxy({ record, content, receivedAt: i }, { get: (target, name) => (looks++, Reflect.get(target, name)) }))
    records.takeNext(held)
    assert.equal(records.readySince, held ? null : 0)
    assert.equal(records.nextOffset(), held ? 0n : BigInt(i) + 1n)
    assert.equal(records.isOpen(0n, false), !held)
    assert.equal(records.isOpen(0n, true), true)
  }
  return looks / 100
}

for (const held of [false, true]) {
  test(`a record costs the same however many ${held ? 'wait at a hole' : 'are uncommitted'}`, () => {
    const few = looksAtEntries(200, held)
    assert.ok(few > 0, 'looks are counted')
    assert.equal(looksAtEntries(5_000, held), few)
  })
}

test('a record costs the same however many tracks the partition has', async () => {
  const few = await looksPerRecord(200, 2)
  const many = await looksPerRecord(400, 300)
  assert.ok(many < 1.5 * few, `${few} looks with 2 tracks, ${many} with 300`)
})

test('memory is counted with what a record takes beside its payload', async () => {
  const world = new World({ budget: 200 * 1024 })
  world.own()
  const part = newPart()
  world.open(part)
  for (let seq = 0; seq < 1_000; seq++) world.append(encodeChunkRecord({ session: SESSION, ...part, seq, sha256: '0'.repeat(64), capturedAt: STARTED_AT, payload: Uint8Array.of(1) }))
  await world.settle()
  assert.ok(world.mostBuffered > 190 * 1024 && world.mostBuffered < 210 * 1024, `${world.mostBuffered} bytes at most`)
})

test('above its limit the budget asks its largest holders, and one more for each that gives back', () => {
  const asked: number[] = []
  const budget = new ByteBudget(100_000)
  const accounts = Array.from({ length: 1_000 }, (_, i) => budget.open(() => asked.push(i)))
  for (const account of accounts) account.change(64)
  for (const i of [7, 70, 700]) accounts[i]!.change(4_000 + i)
  assert.deepEqual(asked, [])
  accounts[500]!.change(40_000)
  assert.ok(budget.exceeded)
  assert.equal(asked.length, 8)
  assert.deepEqual(new Set(asked.slice(0, 4)), new Set([500, 7, 70, 700]))
  const before = asked.length
  accounts[7]!.change(-4_000)
  assert.equal(asked.length, before + 1, 'it is exceeded still')
  accounts[7]!.change(64)
  assert.equal(asked.length, before + 1, 'who takes more asks nobody')
  accounts[500]!.change(-40_000)
  assert.ok(!budget.exceeded)
  assert.equal(asked.length, before + 1)
  for (const account of accounts) account.change(-account.bytes)
  assert.equal(budget.used, 0)
})

test('what was held counts as covered by the next commit from when it is released', () => {
  const track = new Track(SESSION, 'webcam', SETTINGS.limits)
  const part = newPart()
  const take = (seq: number): string => track.takeChunk({ kind: 'chunk', session: SESSION, ...part, seq, sha256: '0'.repeat(64), capturedAt: STARTED_AT, payload: Uint8Array.of(1) }, STARTED_AT)
  const lost = (from: number, to: number): TrackDeclaration => ({ type: 'chunks-lost', session: SESSION, track: 'webcam', part: part.part, from, to, cause: 'quota', at: part.startedAt })
  assert.deepEqual([take(1), take(3), take(6)], ['held', 'held', 'held'])
  assert.deepEqual(track.takeReleased(), [])
  assert.equal(take(0), 'taken')
  assert.deepEqual(track.takeReleased().map(({ seq }) => seq), [1])
  assert.equal(track.holdEndsAt, STARTED_AT + SETTINGS.limits.holeWaitMs)
  track.declare(lost(4, 5))
  assert.deepEqual(track.takeReleased(), [])
  track.declare(lost(2, 2))
  assert.deepEqual(track.takeReleased().map(({ seq }) => seq), [3, 6])
  assert.equal(track.holdEndsAt, null)
})

test('what a client declares lost in ten thousand pieces is kept as the ranges that they make', () => {
  const track = new Track(SESSION, 'webcam', SETTINGS.limits)
  const part = newPart()
  for (let from = 20_000; from > 0; from -= 2) track.declare({ type: 'chunks-lost', session: SESSION, track: 'webcam', part: part.part, from, to: from, cause: 'quota', at: part.startedAt })
  assert.equal(track.parts[0]!.lost.length, 10_000)
  track.declare({ type: 'chunks-lost', session: SESSION, track: 'webcam', part: part.part, from: 1, to: 20_000, cause: 'quota', at: part.startedAt })
  assert.deepEqual(track.parts[0]!.lost, [{ from: 1, to: 20_000, cause: 'quota' }])
})
