import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Action } from '../src/upload/action.ts'
import { READS, type DelayCause } from '../src/upload/delayed-chunks.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { ModelPage } from './model-page.ts'
import { id, PARTS } from './model-server.ts'

const CODES = [null, 1006, 1012, 4400, 4401, 4409, 4413, 4422, 4429] as const

/** With a model spool, whose reads take their time. */
class World extends ModelPage {
  readonly spool = new Map<string, number>()
  /** By chunk: how often the spool had it and did not give it. */
  readonly unreadable = new Map<string, number>()
  #refused = false

  constructor(windowBytes: number, corrupt: ReadonlySet<string>) {
    super(windowBytes, corrupt)
    this.session = new UploadSession({ ownsClient: true })
    for (const part of PARTS) this.run(this.session.openPart(part))
  }

  capture(index: number, bytes: number, kept: boolean): void {
    const { part, chunk } = this.make(index, bytes)
    if (kept) this.spool.set(id(part, chunk.seq), bytes)
    this.run(kept ? this.session.chunkSpooled(part, chunk) : this.session.chunkNotKept(part, chunk, 'quota'))
  }

  protected forgets({ part, from, to, outcome }: Extract<Action, { do: 'forget-chunks' }>): void {
    for (let seq = from; seq <= to; seq++) {
      const key = id(part, seq)
      assert.ok(outcome === 'acknowledged' ? this.server.durable.has(key) : this.server.declaredLost.has(key), `${key} is forgotten but not durable`)
      this.spool.delete(key)
    }
  }

  protected notes(): void {}

  override connect(): void {
    if (!this.connected) this.#refused = false
    super.connect()
  }

  /** One read of the spool comes back, and its chunk is sent. */
  read(): void {
    const action = this.reads.shift()
    if (action === undefined || this.#refused) return
    const bytes = this.spool.get(id(action.part, action.seq))
    if (bytes === undefined) return this.run(this.session.chunkUnreadable(action.part, action.seq, 'spool-cleared'))
    this.#refused = this.server.receiveChunk({ ...action, bytes }) === 'refused'
  }

  /** One read of the spool gives nothing for now. */
  delay(cause: DelayCause): void {
    const action = this.reads.shift()
    if (action === undefined) return
    const key = id(action.part, action.seq)
    if (cause === 'unreadable') this.unreadable.set(key, (this.unreadable.get(key) ?? 0) + 1)
    this.run(this.session.chunkDelayed(action.part, action.seq, cause, this.now))
  }

  pass(ms: number): void {
    this.now += ms
    this.run(this.session.tick(this.now, 0))
  }

  resend(index: number, from: number, to: number): void {
    if (this.connected) this.server.toClient.push({ type: 'resend', ...PARTS[index]!, from, to })
  }

  /** Everything is well again until nothing moves any more. */
  heal(): void {
    for (const { part } of PARTS) this.run(this.session.closePart(part, this.made.get(part)!, true))
    this.run(this.session.finish())
    for (let round = 0; this.settled === 0; round++) {
      assert.ok(round < 20_000, 'it settles')
      this.connect()
      this.read()
      this.server.settle(0)
      this.deliver()
      if (round % 50 === 0) this.pass(2000)
    }
  }
}

const smallIndex = fc.nat({ max: PARTS.length - 1 })
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('capture' as const), part: smallIndex, bytes: fc.integer({ min: 1, max: 260 }), kept: fc.integer({ min: 0, max: 9 }).map((roll) => roll > 0) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('read' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('delay' as const), cause: fc.constantFrom('unreadable' as const, 'store-away' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: -5000, max: 20_000 }) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat({ max: 20 }) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('deliver' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), code: fc.constantFrom(...CODES), kept: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('resend' as const), part: smallIndex, from: fc.nat({ max: 10 }), length: fc.nat({ max: 10 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), part: smallIndex, seq: fc.nat({ max: 15 }) }) },
  ),
  { maxLength: 300, size: 'max' },
)

test('whatever is cut, delayed, refused and asked again: all is durable or declared lost, and nothing else is forgotten', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 60, max: 1000 }), fc.uniqueArray(fc.tuple(smallIndex, fc.nat({ max: 10 })), { maxLength: 3 }), (history, windowBytes, corrupt) => {
      const corruptIds = new Set(corrupt.map(([part, seq]) => id(PARTS[part]!.part, seq)))
      const world = new World(windowBytes, corruptIds)
      const excused = new Set(corruptIds)
      const tooLarge = new Set<string>()
      for (const step of history) {
        switch (step.do) {
          case 'capture': {
            const { part } = PARTS[step.part]!
            const key = id(part, world.made.get(part)!)
            if (!step.kept) excused.add(key)
            if (step.bytes > 200) tooLarge.add(key)
            world.capture(step.part, step.bytes, step.kept)
            break
          }
          case 'connect':
            world.connect()
            break
          case 'read':
            world.read()
            break
          case 'delay':
            world.delay(step.cause)
            break
          case 'pass':
            world.pass(step.ms)
            break
          case 'settle':
            world.server.settle(step.which)
            break
          case 'deliver':
            world.deliver()
            break
          case 'cut':
            world.cut(step.code, step.kept)
            break
          case 'resend':
            world.resend(step.part, step.from, step.from + step.length)
            break
          case 'clear': {
            const key = id(PARTS[step.part]!.part, step.seq)
            if (world.spool.delete(key)) excused.add(key)
            break
          }
          default:
            step satisfies never
        }
      }
      world.heal()
      assert.equal(world.settled, 1)
      assert.equal(world.spool.size, 0, 'the spool is empty')
      for (const { part } of PARTS) {
        const recorded = world.made.get(part)!
        assert.ok(world.server.opens.has(part))
        assert.equal(world.server.closes.get(part), recorded)
        for (let seq = 0; seq < recorded; seq++) {
          const key = id(part, seq)
          assert.ok(world.server.durable.has(key) || world.server.declaredLost.has(key), `${key} is neither durable nor lost`)
          if (!excused.has(key) && (world.unreadable.get(key) ?? 0) < READS && !tooLarge.has(key)) assert.ok(world.server.durable.has(key), `${key} was given up without need`)
        }
      }
      assert.deepEqual(world.server.finished?.flat().toSorted(), PARTS.map(({ part }) => part).toSorted())
    }),
    { numRuns: 1000 },
  )
})
