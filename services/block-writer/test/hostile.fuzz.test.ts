import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { newBlockIds, type MemoryFaults } from '@longtake/blob'
import { decodeChunksRecord, encodeChunkRecord, type SessionState } from '@longtake/contracts'
import { evolve, filesOf, hasSeq, partsOf, statusOf, type KnownPart } from '@longtake/domain'
import { assertContent, checkRecording, concat, equalBytes, fuzz, type CheckedPart, type FindingCode, loadRecording, mutate, mutation, recordingNames, recut } from '@longtake/testkit'
import fc from 'fast-check'
import { writtenBy } from '../src/core/index.ts'
import { TrackStorage } from '../src/track-storage.ts'
import { newPart, SESSION, SETTINGS, STARTED_AT, World, type TestPart } from './harness.ts'

/** What the browsers wrote, so much of it that there is time for many histories. */
const streams = new Map(recordingNames.map((name) => [name, concat(loadRecording(name).chunks).subarray(0, 90_000)]))

type Step =
  | { do: 'chunk'; part: number; chunk: number; other: boolean; capturedAt: number | null }
  | { do: 'open' | 'reopen'; part: number }
  | { do: 'close'; part: number; chunks: number; clean: boolean }
  | { do: 'lost'; part: number; from: number; length: number; again: boolean }
  | { do: 'finish' | 'leave' | 'die' | 'zombie' | 'hand-over' }
  | { do: 'wait'; ms: number }
  /** Storage fails at the so-manieth change from now, before or after it takes effect. */
  | { do: 'fail'; change: number }
  /** The next commit takes until somebody waits or dies. */
  | { do: 'stall' }

const PARTS = 3
const part = fc.nat(PARTS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 14, arbitrary: fc.record({ do: fc.constant('chunk' as const), part, chunk: fc.nat(19), other: fc.integer({ min: 0, max: 19 }).map((roll) => roll === 0), capturedAt: fc.oneof({ weight: 20, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constantFrom(0, 1, 8.64e15) }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('open' as const, 'reopen' as const), part }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('close' as const), part, chunks: fc.oneof(fc.nat(25), fc.constantFrom(0, 20, 0xffff_ffff)), clean: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lost' as const), part, from: fc.oneof(fc.nat(20), fc.constant(0xffff_fffe)), length: fc.nat(5), again: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('finish' as const, 'leave' as const, 'die' as const, 'zombie' as const, 'hand-over' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(500, 3000, 6000, 40_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), change: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'stall' as const }) },
)

const parts = fc.tuple(
  ...Array.from({ length: PARTS }, () =>
    fc.record({
      name: fc.constantFrom(...streams.keys()),
      mutations: fc.oneof(fc.constant([]), fc.array(mutation, { minLength: 1, maxLength: 3 })),
      cuts: fc.nat(1000),
      /** Seconds by which it starts after the first; some clocks are wrong by years. */
      startsAfterS: fc.oneof(fc.integer({ min: -30, max: 60 }), fc.constantFrom(-63_072_000, 20_000, 315_360_000)),
    }),
  ),
)

interface FuzzedPart extends TestPart {
  /** Its chunks, in order: any bytes. */
  readonly chunks: readonly Uint8Array[]
  readonly sound: boolean
}

fuzz(
  'whatever chunks and declarations come, in whatever order, over deaths, zombies and faults of storage: all is stored once or parked, and nothing stands still',
  60,
  fc.record({ parts, steps: fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }) }),
  async ({ parts, steps }) => {
    const storage = new Storage()
    const world = new World({ faults: storage })
    world.own()
    const made = parts.map(({ name, mutations, cuts, startsAfterS }): FuzzedPart => {
      const bytes = mutate(streams.get(name)!, mutations)
      const startedAt = new Date(STARTED_AT + startsAfterS * 1000).toISOString()
      return { ...newPart({ startedAt, mimeType: loadRecording(name).mimeType }), chunks: recut(bytes, cuts), sound: mutations.length === 0 }
    })
    const first = new Map<string, Map<number, Uint8Array>>()
    for (const step of steps) await take(world, storage, made, step, first)
    storage.goOn()
    storage.failIn = 0
    world.own()
    await world.pass(70_000)
    assert.equal(world.committedOffset, world.log.length, 'every record is done with')
    if (world.events.length === 0) return
    const state = foldedState(world)
    const states = new Map(partsOf(state).map(({ part }) => [part.part, part]))
    for (const part of made) {
      const sent = first.get(part.part)
      if (sent !== undefined) assertStored(states.get(part.part), sent)
    }
    for (const { file, blob, bytes, mimeType } of filesOf(state, 'webcam')) {
      const content = await world.file('webcam', file)
      assert.equal(content.length, bytes, `${blob} has as many bytes as is said`)
      const parts = partsOf(state).filter((placed) => placed.file.file === file && placed.part.startMs !== null)
      if (mimeType === 'video/webm') assertPlayable(content, parts.flatMap(({ part }) => checkedPart(part, made, first)))
      if (mimeType === 'video/mp4') assert.ok(equalBytes(content, concat(parts.flatMap(({ part }) => upToTheHole(first.get(part.part)!)))))
    }
    await assertReloads(world)
  },
)

async function take(world: World, storage: Storage, parts: readonly FuzzedPart[], step: Step, first: Map<string, Map<number, Uint8Array>>): Promise<void> {
  switch (step.do) {
    case 'chunk': {
      const { chunks, ...part } = parts[step.part]!
      const seq = step.chunk % chunks.length
      if (chunks.length === 0) return
      const payload = step.other ? Uint8Array.of(1, 2, 3, seq) : chunks[seq]!
      const known = first.get(part.part) ?? new Map<number, Uint8Array>()
      if (!known.has(seq)) first.set(part.part, known.set(seq, payload))
      const sha256 = createHash('sha256').update(payload).digest('hex')
      const capturedAt = step.capturedAt ?? Date.parse(part.startedAt) + (seq + 1) * 1000
      world.append(encodeChunkRecord({ session: SESSION, track: part.track, part: part.part, client: part.client, seq, sha256, capturedAt, payload }))
      break
    }
    case 'open':
      world.open(parts[step.part]!)
      break
    case 'reopen':
      world.open({ ...parts[step.part]!, startedAt: new Date(STARTED_AT + 5000).toISOString() })
      break
    case 'close':
      world.closePart(parts[step.part]!, step.chunks, step.clean)
      break
    case 'lost': {
      const { track, part } = parts[step.part]!
      const to = Math.min(0xffff_fffe, step.from + step.length)
      world.declare({ type: 'chunks-lost', session: SESSION, track, part, from: step.from, to, cause: step.again ? 'already-acknowledged' : 'quota', at: world.at() })
      break
    }
    case 'finish':
      world.declare({ type: 'session-finished', session: SESSION, parts: null, at: world.at() })
      break
    case 'leave':
      world.declare({ type: 'client-left', session: SESSION, client: parts[0]!.client, at: world.at() })
      break
    case 'fail':
      storage.failIn = step.change
      break
    case 'stall':
      storage.stall()
      break
    case 'die':
      storage.goOn()
      world.own()
      break
    case 'zombie':
      storage.goOn()
      world.own({ zombie: true })
      break
    case 'hand-over':
      storage.goOn()
      await handOver(world)
      break
    case 'wait':
      await world.settle()
      storage.goOn()
      await world.pass(step.ms)
      break
    default:
      step satisfies never
  }
}

/** What may happen to it. */
class Storage implements MemoryFaults {
  failIn = 0
  #stalled: PromiseWithResolvers<void> | null = null

  readonly at: NonNullable<MemoryFaults['at']> = async (moment, change) => {
    const commits = moment === 'before' && change === 'commit blocks'
    // That a commit did not arrive is looked into for real seconds: other tests do that.
    if (this.failIn > 0 && !commits && --this.failIn === 0) throw new Error('no storage')
    if (commits) await this.#stalled?.promise
  }

  stall(): void {
    this.#stalled ??= Promise.withResolvers()
  }

  goOn(): void {
    this.#stalled?.resolve()
    this.#stalled = null
  }
}

/** The group takes the partition away in good order; whoever waits for another try has time for it. */
async function handOver(world: World): Promise<void> {
  const over = new AbortController()
  const closed = world.close('revoked').finally(() => over.abort())
  for (let turns = 0; !over.signal.aborted; turns++) {
    assert.ok(turns < 5000, 'closing ends')
    if (turns % 10 === 9) world.clock.advance(100)
    await nextTurn()
  }
  await closed
  world.own()
}

/** What completeness makes of all that was said; an end is said behind all chunks that stand before it in the stream. */
function foldedState(world: World): SessionState {
  const seqs = new Map<string, { offset: bigint; seq: number }[]>()
  for (const { offset, ...record } of world.log) {
    const content = decodeChunksRecord({ ...record, headers: { ...record.headers } })
    if ('kind' in content) seqs.set(content.part, [...(seqs.get(content.part) ?? []), { offset, seq: content.seq }])
  }
  let state: SessionState | undefined
  for (const [i, event] of world.events.entries()) {
    state = evolve(state, event, String(i))
    const parts = partsOf(state).map(({ part }) => part)
    if (statusOf(state, world.clock.now()) === 'complete') for (const { closed, stored, chunks } of parts) assert.ok(closed?.clean === true && stored.length <= 1 && chunks === closed.chunks)
    if (event.type !== 'session-finished') continue
    for (const [id, sent] of seqs) {
      const known = parts.find(({ part }) => part === id)
      if (known?.rejected) continue
      for (const { offset, seq } of sent) assert.ok(offset > BigInt(event.offset) || hasSeq(known?.stored ?? [], seq), `chunk ${seq} stands before the end and is not told of`)
    }
  }
  assert.ok(state !== undefined)
  return state
}

function assertStored(state: KnownPart | undefined, sent: ReadonlyMap<number, Uint8Array>): void {
  assert.ok(state !== undefined, 'the part is told of')
  const stored = state.stored.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
  if (state.rejected === null) assert.deepEqual(stored, [...sent.keys()].toSorted((a, b) => a - b), 'what was sent is stored')
  else for (const seq of stored) assert.ok(sent.has(seq))
  assert.equal(state.chunks, stored.length)
  assert.equal(state.bytes, stored.reduce((sum, seq) => sum + sent.get(seq)!.length, 0))
}

/** Faults that no content excuses. */
const STRUCTURE: readonly FindingCode[] = ['ebml-header', 'truncated', 'segment-size', 'unknown-size', 'element-size', 'element-missing', 'seek-position', 'cue-cluster', 'cue-track', 'cue-missing']

function assertPlayable(file: Uint8Array, parts: readonly (CheckedPart & { sound: boolean })[]): void {
  if (parts.length === 0) return
  const { findings } = checkRecording({ file, parts })
  assertContent(parts.every(({ sound }) => sound) ? findings : findings.filter(({ code }) => STRUCTURE.includes(code)))
}

function checkedPart({ part: id, missing, undecodable, startedAt }: KnownPart, made: readonly FuzzedPart[], first: ReadonlyMap<string, ReadonlyMap<number, Uint8Array>>): (CheckedPart & { sound: boolean })[] {
  const { chunks, sound } = made.find(({ part }) => part === id)!
  const sent = first.get(id) ?? new Map<number, Uint8Array>()
  const asRecorded = [...sent].every(([seq, bytes]) => bytes === chunks[seq])
  const gaps = [...missing.map((range) => ({ ...range, kind: 'lost' as const })), ...undecodable.map((range) => ({ ...range, kind: 'undecodable' as const }))]
  return [{ part: id, startedAt: startedAt!, chunks: sent, gaps, sound: sound && asRecorded }]
}

/** MP4 is kept as it came, and what is behind a hole cannot be. */
function upToTheHole(sent: ReadonlyMap<number, Uint8Array>): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let chunk = sent.get(0); chunk !== undefined; chunk = sent.get(chunks.length)) chunks.push(chunk)
  return chunks
}

/** A next owner finds what was said, nothing that is not finished, and leaves nothing behind that nobody needs. */
async function assertReloads(world: World): Promise<void> {
  const storage = new TrackStorage(world.memory, newBlockIds(), SESSION, 'webcam', async () => {})
  const { track, states } = await storage.load(SETTINGS.limits, world.clock.now())
  assert.ok(!track.unfinished, 'no work is left')
  for (const { state } of states) {
    const { at, ...said } = world.lastCommit('webcam', state.file)
    assert.deepEqual(state, said, `as was said at ${at}`)
  }
  const needed = new Set(track.files.flatMap((file) => [...file.pendingBlobs, ...file.retained, ...file.checkpoints]))
  const side = (await world.names(`${SESSION}/webcam/`)).filter((name) => /\/(pending|checkpoints)\//.test(name))
  // Of a commit that failed and was not needed again.
  const mayBeUnderWay = (name: string): boolean => writtenBy(name)!.number > (track.files[writtenBy(name)!.file]?.commitNumber ?? 0)
  assert.deepEqual(side.filter((name) => !needed.has(name) && !mayBeUnderWay(name)), [])
}
