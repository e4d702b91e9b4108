import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OffsetTracker } from '../src/consumer/offset-tracker.ts'

/** Records at rising offsets with holes, and an order in which some of them complete. */
const history = fc
  .record({ start: fc.bigInt(0n, 1_000_000n), steps: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 60 }) })
  .chain(({ start, steps }) => {
    const offsets: bigint[] = []
    let next = start
    for (const step of steps) {
      offsets.push(next)
      next += BigInt(step)
    }
    return fc.record({ start: fc.constant(start), offsets: fc.constant(offsets), behind: fc.constant(next), completing: fc.shuffledSubarray(offsets) })
  })

/** Hands out a record behind a hole that compaction has left. */
function handOut(tracker: OffsetTracker, offset: bigint): void {
  tracker.skippedTo(offset)
  tracker.started(offset)
}

test('what may be committed is the first incomplete record, whatever the order of completion', () => {
  fc.assert(
    fc.property(history, ({ start, offsets, behind, completing }) => {
      const tracker = new OffsetTracker(start)
      for (const offset of offsets) handOut(tracker, offset)
      tracker.skippedTo(behind)
      const done = new Set<bigint>()
      let last = tracker.committable
      for (const offset of completing) {
        assert.equal(tracker.done(offset), true)
        done.add(offset)
        assert.equal(tracker.committable, offsets.find((candidate) => !done.has(candidate)) ?? behind)
        assert.ok(tracker.committable >= last)
        last = tracker.committable
      }
    }),
  )
})

test('handing out and completing may be mixed', () => {
  fc.assert(
    fc.property(history, fc.array(fc.nat({ max: 9 })), ({ start, offsets }, lags) => {
      const tracker = new OffsetTracker(start)
      const open: bigint[] = []
      offsets.forEach((offset, index) => {
        handOut(tracker, offset)
        open.push(offset)
        const [finished] = open.splice((lags[index] ?? 0) % open.length, 1)
        tracker.done(finished!)
        assert.equal(tracker.committable, open[0] ?? offset + 1n)
      })
    }),
  )
})

test('what was not handed out, or is complete already, changes nothing', () => {
  const tracker = new OffsetTracker(10n)
  handOut(tracker, 10n)
  handOut(tracker, 13n)
  for (const foreign of [9n, 11n, 14n]) assert.equal(tracker.done(foreign), false)
  assert.equal(tracker.done(10n), true)
  assert.equal(tracker.done(10n), false)
  assert.equal(tracker.committable, 13n)
})

test('an offset that was passed already, or lies beyond the next one, is refused and changes nothing', () => {
  const tracker = new OffsetTracker(10n)
  tracker.started(10n)
  for (const offset of [9n, 10n, 12n]) assert.throws(() => tracker.started(offset), RangeError)
  assert.throws(() => tracker.skippedTo(10n), RangeError)
  tracker.done(10n)
  assert.equal(tracker.committable, 11n)
})

test('a long run keeps only what is incomplete', () => {
  const tracker = new OffsetTracker(0n)
  for (let offset = 0n; offset < 100_000n; offset += 1n) {
    tracker.started(offset)
    tracker.done(offset)
  }
  assert.equal(tracker.incomplete, 0)
  assert.equal(tracker.committable, 100_000n)
  assert.ok(tracker.size < 2_000)
})

test('any number of complete records behind one that stays incomplete costs no memory', () => {
  const tracker = new OffsetTracker(0n)
  tracker.started(0n)
  for (let offset = 1n; offset <= 200_000n; offset += 1n) {
    tracker.started(offset)
    tracker.done(offset)
    assert.ok(tracker.size < 2_000)
  }
  assert.equal(tracker.committable, 0n)
  assert.equal(tracker.incomplete, 1)
  tracker.done(0n)
  assert.equal(tracker.committable, 200_001n)
})
