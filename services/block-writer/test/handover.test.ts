import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { MemoryBlobStore, WINDOW_LIMITS } from '@longtake/blob'
import { AZURE_LIKE, SimulatedStorage, VirtualClock } from '@longtake/blob/simulation'
import { encodeChunkRecord, encodeDeclaration } from '@longtake/contracts'
import type { KafkaRecord } from '@longtake/kafka'
import { createLogger } from '@longtake/service'
import { loadRecording, seededRandom } from '@longtake/testkit'
import { ByteBudget } from '../src/budget.ts'
import { ChunksPartition } from '../src/partition-handler.ts'
import { StorageTurns, TRACKS_AT_ONCE } from '../src/storage-turns.ts'
import { SETTINGS, STARTED_AT } from './harness.ts'

/** 20,000 tracks over 12 partitions. */
const TRACKS = 1_667
const CLOSE_TIMEOUT_MS = 20_000
const { chunks, mimeType } = loadRecording('chrome-webcam-vp9-opus')

/** One partition of many tracks with a storage that answers in 20 to 200 ms, in virtual time. */
class Partition {
  readonly clock = new VirtualClock()
  readonly memory = new MemoryBlobStore()
  readonly storage: SimulatedStorage
  readonly done = new Set<bigint>()
  /** Sessions in the order of their commits. */
  committed: string[] = []
  readonly #numbers = new Map<string, number>()
  mostAtOnce = 0
  handed = 0n

  constructor() {
    const random = seededRandom(3)
    this.storage = new SimulatedStorage({ memory: this.memory, clock: this.clock, random: () => random.next(), model: AZURE_LIKE })
  }

  own(): ChunksPartition {
    const gone = new AbortController()
    const { clock } = this
    return new ChunksPartition(
      { partition: 0, signal: gone.signal, done: ({ offset }) => void this.done.add(offset), pause: () => {}, resume: () => {} },
      {
        store: this.storage,
        // Headers of usual size would only take memory here.
        settings: { ...SETTINGS, commitLimits: { ...SETTINGS.commitLimits, headerBytes: 4096 } },
        clock: { now: () => STARTED_AT + clock.now(), after: (ms, callback) => clock.after(ms, callback) },
        budget: new ByteBudget(2 ** 30),
        turns: new StorageTurns(),
        logger: createLogger({ service: 'test', level: 'silent' }),
        publish: async (_partition, event) => {
          if (event.type !== 'blocks-committed' || this.#numbers.get(event.session) === event.commit.number) return
          this.#numbers.set(event.session, event.commit.number)
          this.committed.push(event.session)
        },
        park: async (_record, why) => assert.fail(why.details),
        readBack: async () => assert.fail('no checkpoint is damaged'),
      },
    )
  }

  record(encoded: { key: string; value: Uint8Array; headers: Record<string, string> }): KafkaRecord {
    return { topic: 'recordings.chunks', partition: 0, offset: this.handed++, tombstone: false, timestamp: 0, ...encoded, value: Buffer.from(encoded.value) }
  }

  /** Virtual time until `work` is done, ms. */
  async time(work: Promise<void>): Promise<number> {
    const from = this.clock.now()
    const state = { done: false }
    void work.finally(() => (state.done = true))
    while (!state.done) {
      await this.clock.run(this.clock.now() + 10)
      this.mostAtOnce = Math.max(this.mostAtOnce, this.storage.attempts.queue.inFlight)
    }
    return this.clock.now() - from
  }
}

test('1,667 tracks of a partition are committed, and by the next owner loaded and committed, within the close timeout, the oldest first', async (t) => {
  const it = new Partition()
  const parts = Array.from({ length: TRACKS }, (_, n) => ({ session: `session-${n}`, track: 'webcam', part: randomUUID(), client: randomUUID() }))
  const startedAt = new Date(STARTED_AT).toISOString()
  const chunkOf = (seq: number) => {
    const payload = chunks[seq]!
    const sha256 = createHash('sha256').update(payload).digest('hex')
    return parts.map((part) => encodeChunkRecord({ ...part, seq, sha256, capturedAt: STARTED_AT + (seq + 1) * 1_000, payload }))
  }
  const opened = parts.map((part) => encodeDeclaration({ type: 'part-opened', ...part, mimeType, startedAt, at: startedAt }))

  for (const records of [opened, chunkOf(0)]) {
    const handler = it.own()
    it.committed = []
    for (const record of records) {
      await it.clock.run(it.clock.now() + 0.5)
      await handler.handle(it.record(record))
    }
    const closedMs = await it.time(handler.close('revoked'))
    t.diagnostic(`closed after ${closedMs} ms, at most ${it.mostAtOnce} requests at once`)
    assert.equal(it.done.size, Number(it.handed))
    assert.ok(closedMs < CLOSE_TIMEOUT_MS, `${closedMs} ms`)
  }
  assert.ok(it.mostAtOnce <= WINDOW_LIMITS.max * 1.25, `${it.mostAtOnce} requests at once`)
  // None is overtaken by more than those that are under way with it.
  const commits = it.committed.map((session) => Number(session.slice('session-'.length)))
  assert.equal(commits.length, TRACKS)
  commits.forEach((track, position) => assert.ok(track <= position + 2 * TRACKS_AT_ONCE, `track ${track} was committed as number ${position}`))
})
