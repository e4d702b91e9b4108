import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { openDB } from 'idb'
import { restorePart } from '../src/recovery/recovery-plan.ts'
import { SPOOL_DATABASE, spooledClients, withSpoolDatabase } from '../src/spool/spool-database.ts'
import { Spool } from '../src/spool/spool.ts'
import type { Action } from '../src/upload/action.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { ModelPage } from './model-page.ts'
import { id, PARTS } from './model-server.ts'
import { spoolKey } from './spool-key.ts'

const key = await spoolKey()

/** Pages of one recorder, each of which may die at any moment, over a real spool and a model of the server. */
class World extends ModelPage {
  readonly #name: string
  #spool: Spool
  #isRecording = true
  /** What the page has begun to write: it dies with the page, or is written wholly. */
  #writes: (() => Promise<void>)[] = []
  readonly kept = new Set<string>()
  readonly excused = new Set<string>()
  stopped = false

  private constructor(name: string, spool: Spool) {
    super(400, new Set())
    this.#name = name
    this.#spool = spool
  }

  static async begin(): Promise<World> {
    const name = randomUUID()
    const world = new World(name, await Spool.create({ session: name, client: 'c', ingestUrl: '', startedAt: 0 }, key))
    for (const part of PARTS) {
      await world.#spool.addPart(part)
      world.run(world.session.openPart(part))
    }
    return world
  }

  async capture(index: number, bytes: number, fits: boolean): Promise<void> {
    if (!this.#isRecording) return
    const { part, chunk } = this.make(index, bytes)
    if (fits) {
      this.kept.add(id(part, chunk.seq))
      await this.#spool.addChunk({ part, seq: chunk.seq, payload: new Uint8Array(bytes).fill(chunk.seq).buffer, capturedAt: chunk.capturedAt })
      this.run(this.session.chunkSpooled(part, chunk))
    } else {
      await this.#spool.noteLost(part, chunk.seq, 'quota')
      this.run(this.session.chunkNotKept(part, chunk, 'quota'))
    }
  }

  /** Somebody takes a chunk from the store. */
  async take(index: number, seq: number): Promise<void> {
    const { part } = PARTS[index]!
    const place = [this.#name, 'c', part, seq] as [string, string, string, number]
    const database = await openDB(SPOOL_DATABASE)
    const isThere = (await database.count('chunks', place)) > 0
    await Promise.all([database.delete('chunks', place), database.delete('payloads', place)])
    database.close()
    if (isThere) this.excused.add(id(part, seq))
  }

  async stop(): Promise<void> {
    if (!this.#isRecording) return
    this.#isRecording = false
    this.stopped = true
    await this.#spool.noteStopped()
    for (const { part } of PARTS) {
      const closed = { chunks: this.made.get(part)!, clean: true }
      await this.#spool.closePart(part, closed)
      this.run(this.session.closePart(part, closed.chunks, closed.clean))
    }
    this.run(this.session.finish())
  }

  /** The page dies, and another one recovers what it left. */
  async die(): Promise<void> {
    if (this.settled > 0) return
    this.cut(1006, true)
    this.#writes = []
    await this.#spool.close()
    this.#isRecording = false
    const client = (await withSpoolDatabase(spooledClients)).find(({ session }) => session === this.#name)!
    const resumed = await Spool.resume(client, key)
    assert.ok(resumed !== 'wrong-key')
    this.#spool = resumed.spool
    this.session = new UploadSession()
    for (const part of resumed.parts) this.session.restorePart(restorePart(part, resumed.chunks.filter((chunk) => chunk.part === part.part)))
    this.run(client.stopped ? this.session.finish() : this.session.leave())
  }

  protected forgets({ part, from, to, outcome }: Extract<Action, { do: 'forget-chunks' }>): void {
    this.#writes.push(() => this.#spool.forgetChunks(part, from, to, outcome))
  }

  protected notes({ part, startedAt, clockAheadMs }: Extract<Action, { do: 'note-opened' }>): void {
    this.#writes.push(() => this.#spool.noteOpened(part, { startedAt, clockAheadMs }))
  }

  async read(): Promise<void> {
    const action = this.reads.shift()
    if (action === undefined) return
    const chunk = await this.#spool.readChunk(action.part, action.seq)
    assert.ok(chunk !== 'unreadable')
    if (typeof chunk === 'string') return this.run(this.session.chunkUnreadable(action.part, action.seq, chunk))
    assert.ok(new Uint8Array(chunk.payload).every((byte) => byte === action.seq), 'the bytes are those of that chunk')
    this.server.receiveChunk({ ...action, bytes: chunk.payload.byteLength })
  }

  async write(): Promise<void> {
    await this.#writes.shift()?.()
  }

  /** All is well from now on, until nothing moves any more. */
  async heal(): Promise<void> {
    for (let round = 0; this.settled === 0; round++) {
      assert.ok(round < 5000, 'it settles')
      this.connect()
      await this.read()
      this.server.settle(0)
      this.deliver()
    }
    while (this.#writes.length > 0) await this.write()
    await this.#spool.clear()
    await this.#spool.close()
  }
}

const index = fc.nat({ max: PARTS.length - 1 })
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('capture' as const), part: index, bytes: fc.integer({ min: 1, max: 150 }), fits: fc.nat({ max: 9 }).map((roll) => roll > 0) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('read' as const) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat({ max: 20 }) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('deliver' as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('write' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), arrived: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('take' as const), part: index, seq: fc.nat({ max: 8 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('die' as const) }) },
  ),
  { maxLength: 80, size: 'max' },
)

test('pages that die at any moment lose nothing that was kept, and tell of all else what became of it', async () => {
  let [deaths, chunks] = [0, 0]
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      const world = await World.begin()
      for (const step of history) {
        switch (step.do) {
          case 'capture':
            await world.capture(step.part, step.bytes, step.fits)
            break
          case 'connect':
            world.connect()
            break
          case 'read':
            await world.read()
            break
          case 'settle':
            world.server.settle(step.which)
            break
          case 'deliver':
            world.deliver()
            break
          case 'write':
            await world.write()
            break
          case 'cut':
            world.cut(1006, step.arrived)
            break
          case 'take':
            await world.take(step.part, step.seq)
            break
          case 'stop':
            await world.stop()
            break
          case 'die':
            deaths += 1
            await world.die()
            break
          default:
            step satisfies never
        }
      }
      await world.die()
      await world.heal()
      const { durable, declaredLost, closes, finished } = world.server
      for (const { part } of PARTS) {
        const made = world.made.get(part)!
        const length = closes.get(part) ?? assert.fail('every part is closed')
        assert.ok(length <= made)
        chunks += made
        for (let seq = 0; seq < made; seq++) {
          const chunk = id(part, seq)
          // Nothing tells a later page of the last chunks of a part when somebody took them from the store.
          if (seq < length) assert.ok(durable.has(chunk) || declaredLost.has(chunk), `${chunk} is neither durable nor lost`)
          else assert.ok(world.excused.has(chunk), `${chunk} is not counted`)
          if (world.kept.has(chunk) && !world.excused.has(chunk)) {
            assert.ok(durable.has(chunk), `${chunk} was kept and is missing`)
            assert.ok(!declaredLost.has(chunk), `${chunk} was kept and is declared lost`)
          }
        }
      }
      assert.equal(finished !== null, world.stopped)
    }),
    { numRuns: 250 },
  )
  assert.ok(deaths > 50 && chunks > 600, `${deaths} pages died over ${chunks} chunks`)
})
