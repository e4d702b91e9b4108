import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, mock, test } from 'node:test'
import fc from 'fast-check'
import { openDB } from 'idb'
import { restorePart } from '../src/recovery/recovery-plan.ts'
import { Overflow } from '../src/spool/overflow.ts'
import { SPOOL_DATABASE, spooledClients, withSpoolDatabase } from '../src/spool/spool-database.ts'
import { Spool, type NewChunk } from '../src/spool/spool.ts'
import { STORE_REST_MS } from '../src/spool/store-connection.ts'
import { spoolKey } from './spool-key.ts'

const PART = '11111111-1111-4111-8111-111111111111'
const key = await spoolKey()

/** What goes wrong with the browser's store, and what of it is in memory instead. */
const faults = { abortNext: 0, refusesToOpen: false, passedMs: 0, version: 2 }
const inMemory = new Set<number>()
const everInMemory = new Set<number>()

const [now, begin, open] = [performance.now.bind(performance), Reflect.get(IDBDatabase.prototype, 'transaction'), Reflect.get(IDBFactory.prototype, 'open')]
mock.method(performance, 'now', () => now() + faults.passedMs)
mock.method(IDBDatabase.prototype, 'transaction', function (this: IDBDatabase, ...of: Parameters<IDBDatabase['transaction']>) {
  const transaction = begin.apply(this, of) as IDBTransaction
  if (of[1] === 'readwrite' && faults.abortNext > 0) {
    faults.abortNext -= 1
    queueMicrotask(() => transaction.abort())
  }
  return transaction
})
mock.method(IDBFactory.prototype, 'open', function (this: IDBFactory, ...of: Parameters<IDBFactory['open']>) {
  if (faults.refusesToOpen) throw new DOMException('no', 'UnknownError')
  return open.apply(this, of) as IDBOpenDBRequest
})
const add = Reflect.get(Overflow.prototype, 'add') as (chunk: NewChunk) => boolean
const forget = Reflect.get(Overflow.prototype, 'forget') as (part: string, from: number, to: number) => void
mock.method(Overflow.prototype, 'add', function (this: Overflow, chunk: NewChunk) {
  inMemory.add(chunk.seq)
  everInMemory.add(chunk.seq)
  return add.call(this, chunk)
})
mock.method(Overflow.prototype, 'forget', function (this: Overflow, part: string, from: number, to: number) {
  for (let seq = from; seq <= to; seq++) inMemory.delete(seq)
  forget.call(this, part, from, to)
})
after(() => mock.restoreAll())

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** A page of a later format comes and goes. */
async function upgrade(): Promise<void> {
  const { refusesToOpen } = faults
  faults.refusesToOpen = false
  const opening = openDB(SPOOL_DATABASE, (faults.version += 1))
  faults.refusesToOpen = refusesToOpen
  ;(await opening).close()
}

/** One recorder's spool, of which nobody waits for anything but one chunk for the other. */
class World {
  readonly session: string
  readonly spool: Spool
  readonly kept: number[] = []
  readonly acknowledged = new Set<number>()
  /** Of these it was said that they have left the store. */
  readonly left = new Set<number>()
  made = 0
  #adding = Promise.resolve()
  readonly #pending: Promise<unknown>[] = []

  private constructor(session: string, spool: Spool) {
    this.session = session
    this.spool = spool
  }

  static async begin(): Promise<World> {
    Object.assign(faults, { abortNext: 0, refusesToOpen: false })
    inMemory.clear()
    everInMemory.clear()
    const session = randomUUID()
    const spool = await Spool.create({ session, client: 'c', ingestUrl: '', startedAt: 5 }, key)
    await spool.addPart({ part: PART, track: 'webcam', mimeType: 'video/webm', startedAt: 7 })
    return new World(session, spool)
  }

  add(): void {
    const seq = this.made
    this.made += 1
    this.#adding = this.#add(seq, this.#adding)
  }

  async #add(seq: number, before: Promise<void>): Promise<void> {
    await before
    await this.spool.addChunk({ part: PART, seq, payload: new Uint8Array(20).fill(seq).buffer, capturedAt: seq })
    this.kept.push(seq)
  }

  acknowledge(which: number): void {
    const seq = this.kept.filter((each) => !this.acknowledged.has(each))[which]
    if (seq === undefined) return
    this.acknowledged.add(seq)
    this.#pending.push(this.spool.forgetChunks(PART, seq, seq, 'acknowledged').then(() => this.left.add(seq), () => undefined))
  }

  upgrade(): void {
    this.#pending.push(upgrade())
  }

  async done(): Promise<void> {
    await this.#adding
    await Promise.all(this.#pending)
  }

  /** All is well with the store from now on. */
  async heal(): Promise<void> {
    await this.done()
    Object.assign(faults, { abortNext: 0, refusesToOpen: false })
    for (let round = 0; round === 0 || this.spool.overflows; round++) {
      assert.ok(round < 10, 'all of it is in the store at last')
      faults.passedMs += STORE_REST_MS
      this.add()
      await this.done()
      await turns(60)
    }
    for (const seq of this.acknowledged) this.left.add(seq)
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant({ do: 'add' as const }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), which: fc.nat({ max: 4 }) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('turns' as const), count: fc.nat({ max: 12 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('abort' as const), count: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'upgrade' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), on: fc.nat({ max: 3 }).map((roll) => roll === 0) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'rest' as const }) },
  ),
  { maxLength: 40, size: 'max' },
)

test('whatever the store does, a later page finds what was kept and not in memory, nothing that left, and no word of loss for what was acknowledged', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (history, heals) => {
      const world = await World.begin()
      for (const step of history) {
        switch (step.do) {
          case 'add':
            world.add()
            break
          case 'acknowledge':
            world.acknowledge(step.which)
            break
          case 'turns':
            await turns(step.count)
            break
          case 'abort':
            faults.abortNext += step.count
            break
          case 'upgrade':
            world.upgrade()
            break
          case 'refuse':
            faults.refusesToOpen = step.on
            break
          case 'rest':
            faults.passedMs += STORE_REST_MS
            break
          default:
            step satisfies never
        }
      }
      if (heals) await world.heal()
      await world.done()
      await world.spool.close()
      Object.assign(faults, { abortNext: 0, refusesToOpen: false })
      const client = (await withSpoolDatabase(spooledClients)).find(({ session }) => session === world.session)!
      const found = await Spool.resume(client, key)
      assert.ok(found !== 'wrong-key')
      const { chunks, lost } = restorePart(found.parts[0]!, found.chunks)
      const here = new Set(chunks.map(({ seq }) => seq))
      for (const seq of world.kept) {
        if (!world.acknowledged.has(seq) && !inMemory.has(seq)) assert.ok(here.has(seq), `${seq} was kept and is not there`)
        if (world.left.has(seq)) assert.ok(!found.chunks.some((chunk) => chunk.seq === seq), `${seq} has left and is there`)
        // Memory forgets what the store could not be told.
        if (world.acknowledged.has(seq) && !everInMemory.has(seq)) assert.ok(!lost.some(({ from, to }) => from <= seq && seq <= to), `${seq} was acknowledged and is told as lost`)
      }
      await found.spool.clear()
      await found.spool.close()
    }),
    { numRuns: 300 },
  )
})
