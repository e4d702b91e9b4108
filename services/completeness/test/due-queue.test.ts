import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DueQueue } from '../src/due-queue.ts'

test('what is due is taken once, the earliest first, at the time that was set last', () => {
  const steps = fc.array(fc.record({ session: fc.constantFrom('a', 'b', 'c', 'd', 'e'), at: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.constant(Infinity)), now: fc.option(fc.integer({ min: 0, max: 60 })) }), { maxLength: 60 })
  fc.assert(
    fc.property(steps, (taken) => {
      const queue = new DueQueue()
      const model = new Map<string, number>()
      for (const { session, at, now } of taken) {
        queue.set(session, at)
        model.set(session, at)
        if (now === null) continue
        const due = [...model].filter(([, time]) => time <= now).sort((a, b) => a[1] - b[1])
        const got = [...queue.take(now)]
        assert.deepEqual(got.map((name) => model.get(name)), due.map(([, time]) => time))
        assert.deepEqual(got.toSorted(), due.map(([name]) => name).toSorted())
        for (const [name] of due) model.delete(name)
      }
    }),
  )
})
