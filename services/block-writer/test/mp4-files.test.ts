import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { BLOBS } from '@longtake/contracts'
import { assertContent, checkRecording, concat, findFfmpeg, loadRecording, partsOfFiles } from '@longtake/testkit'
import { continueFragments } from '../src/core/mp4/continue-fragments.ts'
import { FragmentReader } from '../src/core/mp4/fragment-reader.ts'
import { type Death, Killer, passAndTakeOver } from './deaths.ts'
import { newPart, recordPart, SESSION, World, type TestPart } from './harness.ts'

const { chunks, mimeType } = loadRecording('chrome-mp4')
const stream = concat(chunks)
const folder = mkdtempSync(join(tmpdir(), 'longtake-mp4-'))
after(() => rmSync(folder, { recursive: true }))

const blob = (number: number): string => BLOBS.file(SESSION, 'webcam', number)

/** A world in which some files take no change, or cannot be read either. */
class Refusing extends World {
  readonly refused: Set<string>
  readonly unreadable: Set<string>

  constructor(at?: (moment: 'before' | 'after') => void) {
    const refused = new Set<string>()
    const unreadable = new Set<string>()
    const refuses = (name: string, operation: string): 'held' | null => {
      if (unreadable.has(name)) return 'held'
      return refused.has(name) && ['commit blocks', 'put', 'delete'].includes(operation) ? 'held' : null
    }
    super({ settings: { retryMs: 250, maxRetryMs: 15_000 }, faults: { refuses, ...(at === undefined ? {} : { at }) } })
    this.refused = refused
    this.unreadable = unreadable
  }
}

interface Packet {
  readonly stream: number
  readonly ms: number
  /** Size and checksum. */
  readonly content: string
}

/** The packets of a file, which ffmpeg must decode without any message. */
function played(bytes: Uint8Array): Packet[] {
  const path = join(folder, 'file.mp4')
  writeFileSync(path, bytes)
  const decoded = spawnSync(findFfmpeg(), ['-v', 'error', '-i', path, '-f', 'null', '-'], { encoding: 'utf8' })
  assert.deepEqual([decoded.status, decoded.stderr], [0, ''])
  const copied = spawnSync(findFfmpeg(), ['-v', 'error', '-copyts', '-i', path, '-map', '0:v', '-map', '0:a', '-c', 'copy', '-f', 'framecrc', '-'], { encoding: 'utf8', maxBuffer: 2 ** 26 })
  const scales = [...copied.stdout.matchAll(/#tb (\d+): (\d+)\/(\d+)/g)].map(([, , one, ticks]) => (1000 * Number(one)) / Number(ticks))
  return copied.stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => {
    const [id, , pts, , size, crc] = line.split(',').map((field) => field.trim())
    return { stream: Number(id), ms: Number(pts) * scales[Number(id)]!, content: `${id} ${size} ${crc}` }
  })
}

const recorded = played(stream)

/** Asserts that the files have every packet once at its wall-clock time, apart from those marked as repeated. */
async function assertAll(world: World, part: TestPart, numbers: readonly number[], excused: (packet: Packet) => boolean = () => false): Promise<void> {
  const seen = new Set<Packet>()
  for (const number of numbers) {
    const bytes = await world.file('webcam', number)
    const state = world.partState(part.part, 'webcam', number)
    const { startedAt, bytes: length } = world.lastCommit('webcam', number)
    assert.equal(length, bytes.length)
    const offsetMs = Date.parse(startedAt!) - Date.parse(part.startedAt)
    const packets = played(number === numbers[0] ? wholeFragments(bytes) : bytes)
    assert.ok(packets.length > 0)
    for (const { ms, content } of packets) {
      const original = recorded.find((packet) => packet.content === content && Math.abs(packet.ms - ms - offsetMs) < 2)
      assert.ok(original !== undefined, `file ${number}: ${content} at ${ms} + ${offsetMs} ms`)
      const isRepeated = (state.repeated ?? []).some(({ startMs, endMs }) => startMs <= ms + 1 && ms < endMs)
      assert.ok(!seen.has(original) || isRepeated, `file ${number}: ${content} at ${ms} ms is in two files`)
      seen.add(original)
    }
    assert.ok(Math.abs(state.startMs! - Math.min(...packets.map(({ ms }) => ms))) <= 1, `file ${number} begins at ${state.startMs}`)
    assert.ok(packets.every(({ ms }) => ms <= state.endMs!))
  }
  for (const packet of recorded) assert.ok(seen.has(packet) || excused(packet), `${packet.content} at ${packet.ms} ms is in no file`)
}

/** Without a fragment that breaks off at the end. */
function wholeFragments(bytes: Uint8Array): Uint8Array {
  const view = Buffer.from(bytes)
  let [at, wholeTo] = [0, 0]
  while (at + 8 <= view.length && at + view.readUInt32BE(at) <= view.length) {
    const type = view.toString('latin1', at + 4, at + 8)
    at += view.readUInt32BE(at)
    if (type !== 'moof') wholeTo = at
  }
  return view.subarray(0, wholeTo)
}

const CUTS: readonly (readonly [string, readonly Uint8Array[], readonly number[]])[] = [
  ['a hole between fragments', chunks, [4]],
  ['the tail', chunks, [8, 9, 10]],
  ['all but the init segment', chunks, [1]],
  ['a hole within a fragment', Array.from({ length: 20 }, (_, i) => stream.subarray((i * stream.length) / 20, ((i + 1) * stream.length) / 20)), [9]],
  ['a hole within the head of a fragment', [stream.subarray(0, 143_200), stream.subarray(143_200, 143_300), stream.subarray(143_300)], [1]],
  ['a hole within the init segment', [stream.subarray(0, 500), stream.subarray(500, 1_000), stream.subarray(1_000)], [1]],
]
for (const [what, pieces, late] of CUTS) {
  for (const restart of [false, true]) {
    test(`late data of a held MP4, ${what}, goes into a file that can be played alone${restart ? ', over restarts' : ''}`, async () => {
      const world = new Refusing()
      world.own()
      const part = newPart({ mimeType })
      await recordPart(world, part, pieces, { late, everyMs: 1_000 })
      const held = await world.file()
      world.refused.add(blob(0))
      for (const seq of late) {
        world.chunk(part, seq, pieces[seq]!)
        await world.pass(2_000)
        if (restart) world.own()
      }
      await world.pass(61_000)
      assert.ok(Buffer.from(await world.file()).equals(held))
      const second = Buffer.from(await world.file('webcam', 1))
      assert.ok(second.subarray(0, 1_200).equals(stream.subarray(0, 1_200)), 'it begins with the init segment')
      await assertAll(world, part, held.length < 1_200 + 340 ? [1] : [0, 1])
      const told = { files: [{ parts: [part.part] }, { parts: [part.part] }] }
      const files = [held, second]
      for (const [i, group] of partsOfFiles(files, [{ ...part, chunks: pieces }], told).entries()) assertContent(checkRecording({ file: files[i]!, parts: group }).findings, `file ${i}`)
      const { stored, missing, undecodable } = world.partState(part.part, 'webcam', 1)
      assert.deepEqual([stored, missing, undecodable], [[[0, pieces.length - 1]], [], []])
      assert.equal(world.committedOffset, world.log.length)
    })
  }
}

test('the third file of an MP4 begins with the init segment, too, and repeats what is needed of the second', async () => {
  const world = new Refusing()
  world.own()
  const part = newPart({ mimeType })
  const late = [3, 7, 10]
  await recordPart(world, part, chunks, { late, everyMs: 1_000 })
  for (const [i, seq] of late.entries()) {
    world.refused.add(blob(i))
    world.chunk(part, seq, chunks[seq]!)
    await world.pass(61_000)
  }
  await assertAll(world, part, [0, 1, 2, 3])
  assert.deepEqual(world.partState(part.part, 'webcam', 3).undecodable, [])
})

/** The recording with every second fragment marked as one whose first picture needs earlier ones. */
function dependent(): Uint8Array[] {
  const marked = Buffer.from(stream)
  let count = 0
  for (let at = marked.indexOf('moof'); at >= 0; at = marked.indexOf('moof', at + 4)) {
    if (count++ % 2 === 0) continue
    const flags = marked.indexOf(Buffer.from('02000000', 'hex'), marked.indexOf('trun', marked.indexOf('trun', at) + 4))
    marked.writeUInt32BE(0x0101_0000, flags)
  }
  return Array.from(chunks, ({ length }, i) => marked.subarray(...((from) => [from, from + length] as const)(chunks.slice(0, i).reduce((sum, chunk) => sum + chunk.length, 0))))
}

for (const [what, isUnreadable] of [['can be read', false], ['cannot be read', true], ['is gone', null]] as const) {
  test(`the earlier file ${what}: the next one begins with a fragment that can be decoded alone`, async () => {
    const world = new Refusing()
    world.own()
    const part = newPart({ mimeType })
    // The late chunk begins with a fragment that needs the one before it, and another one that does not.
    const all = dependent()
    await recordPart(world, part, all, { late: [3], everyMs: 1_000 })
    if (isUnreadable === true) world.unreadable.add(blob(0))
    else if (isUnreadable === null) await world.memory.delete(blob(0))
    else world.refused.add(blob(0))
    world.chunk(part, 3, all[3]!)
    await world.pass(61_000)
    world.unreadable.clear()
    const { undecodable, stored, repeated, startMs } = world.partState(part.part, 'webcam', 1)
    assert.deepEqual(stored, [[0, all.length - 1]])
    assert.equal(startMs! > 0, isUnreadable !== false)
    if (isUnreadable === false) {
      assert.deepEqual(undecodable, [])
      assert.equal(repeated?.length, 1)
      await assertAll(world, part, [0, 1])
    } else {
      assert.deepEqual(undecodable.map((range) => [range.from, range.to, range.cause]), [[3, 3, 'no-keyframe']])
      const [fromMs, endMs] = [undecodable[0]!.startMs!, undecodable[0]!.endMs!]
      assert.ok(endMs - fromMs > 500 && endMs - fromMs < 700, `${fromMs}-${endMs}`)
      const kept = await world.names(`${BLOBS.pendingPrefix(SESSION, 'webcam')}${part.part}/kept-3-3`)
      assert.equal(kept.length, 1, 'its bytes are kept')
      const offsetMs = Date.parse(world.lastCommit('webcam', 1).startedAt!) - Date.parse(part.startedAt)
      if (isUnreadable) await assertAll(world, part, [0, 1], ({ ms }) => ms >= offsetMs + fromMs - 1 && ms < offsetMs + endMs)
      else played(await world.file('webcam', 1))
    }
  })
}

test('an init segment that is too large to be kept: what goes on is reported, and its bytes are kept', async () => {
  const world = new Refusing()
  world.own()
  const part = newPart({ mimeType })
  const box = Buffer.alloc(80_000)
  box.writeUInt32BE(box.length)
  box.write('free', 4, 'latin1')
  const init = Buffer.concat([chunks[0]!, box])
  init.writeUInt32BE(chunks[0]!.length - 36 + box.length, 36)
  const pieces = [init, ...chunks.slice(1)]
  await recordPart(world, part, pieces, { late: [6], everyMs: 1_000 })
  world.refused.add(blob(0))
  world.chunk(part, 6, pieces[6]!)
  await world.pass(61_000)
  world.own()
  world.chunk(part, 6, pieces[6]!)
  await world.pass(10_000)
  const { undecodable, stored, startMs } = world.partState(part.part, 'webcam', 1)
  assert.deepEqual(stored, [[0, 10]])
  assert.deepEqual(undecodable.map(({ from, to, cause, endMs }) => [from, to, cause, endMs]), [[6, 10, 'no-init-segment', null]])
  assert.equal(startMs, null)
  assert.equal(world.lastCommit('webcam', 1).bytes, 0)
  const kept = await world.names(`${BLOBS.pendingPrefix(SESSION, 'webcam')}${part.part}/kept-`)
  const bytes = await Promise.all(kept.map(async (name) => (await world.memory.readAll(name))!.bytes.length))
  assert.equal(bytes.reduce((sum, length) => sum + length, 0), pieces.slice(6).reduce((sum, { length }) => sum + length, 0))
  assert.equal(world.committedOffset, world.log.length)
})

test('killed before or after any change in storage while an MP4 goes on in later files: the result is the same', async () => {
  const play = async (death: Death | null): Promise<number> => {
    const killer = new Killer(death)
    const world: Refusing = new Refusing((moment) => killer.at(moment, world))
    world.own()
    const part = newPart({ mimeType })
    await recordPart(world, part, chunks, { late: [4, 8], everyMs: 1_000 })
    killer.isArmed = true
    for (const [i, seq] of [4, 8].entries()) {
      world.refused.add(blob(i))
      world.chunk(part, seq, chunks[seq]!)
      await passAndTakeOver(world, 20_000)
    }
    for (let i = 0; i < 3; i++) await passAndTakeOver(world, 20_000)
    const files = (await world.memory.properties(blob(1))) === null ? [0, 2] : [0, 1, 2]
    const last = world.partState(part.part, 'webcam', 2)
    assert.deepEqual([last.stored, last.undecodable], [[[0, 10]], []], JSON.stringify(death))
    const first = Buffer.from(await world.file())
    const rest = await Promise.all(files.slice(1).map(async (number) => (await world.file('webcam', number)).length))
    assert.ok(first.equals(Buffer.from(stream.subarray(0, first.length))))
    if (death === null) await assertAll(world, part, files)
    else if (files.length === lengths.length) assert.deepEqual([first.length, ...rest], lengths, JSON.stringify(death))
    lengths = death === null ? [first.length, ...rest] : lengths
    return killer.changes
  }
  let lengths: number[] = []
  const changes = await play(null)
  assert.ok(changes > 6, `${changes} changes`)
  for (let change = 1; change <= changes; change++) for (const moment of ['before', 'after'] as const) await play({ moment, change })
})

test('given the state of a version that kept no init segment, then it is taken from the beginning of the file', () => {
  const reader = new FragmentReader()
  reader.push(stream.subarray(0, 60_275))
  const { init, ...state } = reader.state
  const leadIn = { file: 0, block: 'AAAA', skip: 0, length: 60_275, fromMs: state.endMs!, offsetMs: 0 }
  const found = continueFragments({ state, fed: 60_275 }, leadIn, stream.subarray(0, 60_275), -state.endMs!)
  assert.deepEqual([found.fragments.state.init, found.pieces], [init, []])
  const missing = continueFragments({ state, fed: 60_275 }, leadIn, undefined, -state.endMs!)
  assert.equal(missing.fragments.state.broken?.cause, 'no-init-segment')
})
