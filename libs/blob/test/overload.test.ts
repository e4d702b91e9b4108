import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@longtake/testkit'
import { blobConformance } from '../src/conformance.ts'
import { WINDOW_LIMITS } from '../src/congestion-window.ts'
import { commitWithReadBack, MemoryBlobStore, newBlockIds } from '../src/index.ts'
import { AZURE_LIKE, SimulatedStorage, VirtualClock, type StorageModel, type Weather } from '../src/simulated-storage.ts'

const SECOND = 1_000
const BLOCK = Buffer.alloc(64 * 1024, 1)

/** Writers that each commit a block about every two seconds, in virtual time, as long as they live. */
class Writers {
  readonly clock = new VirtualClock()
  readonly storage: SimulatedStorage
  committed = 0
  mostInFlight = 0
  readonly #source = seededRandom(7)
  readonly #random = (): number => this.#source.next()
  readonly #newBlockId = newBlockIds()

  constructor(count: number, model: Partial<StorageModel>) {
    const parts = { memory: new MemoryBlobStore(), clock: this.clock, random: this.#random }
    this.storage = new SimulatedStorage({ ...parts, model: { ...AZURE_LIKE, ...model } })
    for (let n = 0; n < count; n++) void this.#write(`track-${n}`)
  }

  /** Commits a second while `ms` pass. */
  async goodput(ms: number): Promise<number> {
    const before = this.committed
    for (let left = ms; left > 0; left -= SECOND) {
      await this.clock.run(this.clock.now() + SECOND)
      this.mostInFlight = Math.max(this.mostInFlight, this.storage.attempts.queue.inFlight)
    }
    return (this.committed - before) / (ms / SECOND)
  }

  async #write(blob: string): Promise<void> {
    for (let number = 1, etag: string | null = null; ; number++) {
      await new Promise<void>((resolve) => this.clock.after(2 * SECOND * (0.5 + this.#random()), resolve))
      try {
        const id = this.#newBlockId(BLOCK)
        await this.storage.stageBlock(blob, id, BLOCK)
        await this.storage.put(`${blob}/checkpoints/${number}`, BLOCK.subarray(0, 1_000), { contentType: 'application/octet-stream', metadata: {} })
        const condition = etag === null ? ({ ifNoneMatch: '*' } as const) : { ifMatch: etag }
        const description = { contentType: 'video/webm', metadata: { commitid: `${blob}-${number}` } }
        const outcome = await commitWithReadBack(this.storage, blob, [id], { ...condition, ...description, retryDelayMs: 0 })
        if (outcome.outcome !== 'committed') continue
        etag = outcome.etag
        this.committed++
      } catch {
        // Its records are kept; it begins again.
      }
    }
  }
}

const STORMS: readonly (readonly [string, Weather])[] = [
  ['a minute of nothing but 503', { kind: 'busy', share: 1 }],
  ['a minute in which every second request is refused', { kind: 'busy', share: 0.5 }],
  ['a minute without any answer', { kind: 'silent' }],
]
for (const [label, weather] of STORMS) {
  test(`${label}: goodput is back within a minute, unattended, and the storm saw little load`, async () => {
    const it = new Writers(60, { requestsPerSecond: 400 })
    await it.goodput(20 * SECOND)
    const normal = await it.goodput(20 * SECOND)
    const { arrived } = it.storage
    it.storage.weather = weather
    await it.goodput(60 * SECOND)
    const duringStorm = (it.storage.arrived - arrived) / 60
    it.storage.weather = { kind: 'fair' }
    await it.goodput(40 * SECOND)
    const after = await it.goodput(20 * SECOND)
    assert.ok(normal > 20, `${normal} commits a second before`)
    assert.ok(after >= 0.95 * normal, `${after} commits a second after, ${normal} before`)
    assert.ok(duringStorm < 3 * normal, `${duringStorm} requests a second in the storm`)
  })
}

test('more work than the storage takes: it gets what it takes, few requests are refused, and few are under way', async () => {
  const it = new Writers(300, { requestsPerSecond: 150 })
  await it.goodput(30 * SECOND)
  const { arrived, refused } = it.storage
  const goodput = await it.goodput(60 * SECOND)
  assert.ok(goodput > 0.9 * (150 / 3), `${goodput} of ${150 / 3} commits a second`)
  const share = (it.storage.refused - refused) / (it.storage.arrived - arrived)
  assert.ok(share < 0.08, `${share} refused`)
  assert.ok(it.mostInFlight < WINDOW_LIMITS.max, `${it.mostInFlight} at once`)
})

test('a storage that lets requests wait instead of refusing them is not sent ever more of them', async () => {
  const it = new Writers(300, { requestsPerSecond: 10_000, concurrent: 10 })
  await it.goodput(60 * SECOND)
  const goodput = await it.goodput(60 * SECOND)
  // Ten at once of 110 ms each.
  assert.ok(goodput > 0.85 * (10 / 0.11 / 3), `${goodput} commits a second`)
  assert.ok(it.storage.attempts.queue.inFlight < 64, `${it.storage.attempts.queue.inFlight} at once`)
})

const INSTANT = { ...AZURE_LIKE, latencyMs: [0, 0], bytesPerSecond: Infinity, requestsPerSecond: Infinity } as const
blobConformance('simulated', async () => {
  const clock = { now: () => performance.now(), after: (ms: number, callback: () => void) => (ms === 0 ? (queueMicrotask(callback), () => {}) : () => {}) }
  return new SimulatedStorage({ memory: new MemoryBlobStore(), clock, random: Math.random, model: INSTANT })
})
