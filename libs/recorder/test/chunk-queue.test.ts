import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChunkQueue, type SpooledChunk } from '../src/upload/chunk-queue.ts'

test('a queue of chunks does what a sorted list would do, however long it is', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant('push' as const) },
    { weight: 2, arbitrary: fc.constant('shift' as const) },
    { weight: 1, arbitrary: fc.record({ remove: fc.nat({ max: 800 }) }) },
    { weight: 1, arbitrary: fc.constant('restore' as const) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1500, size: 'max' }), (steps) => {
      const queue = new ChunkQueue()
      let list: SpooledChunk[] = []
      const taken: SpooledChunk[] = []
      let seq = 0
      for (const what of steps) {
        if (what === 'push') {
          const chunk = { seq, bytes: 1, capturedAt: seq++ }
          queue.push(chunk)
          list.push(chunk)
        } else if (what === 'shift') {
          const first = list.shift()
          if (first === undefined) continue
          queue.shift()
          taken.push(first)
        } else if (what === 'restore') {
          list = [...list, ...taken].toSorted((a, b) => a.seq - b.seq)
          queue.restore(taken.splice(0))
        } else {
          assert.equal(queue.has(what.remove), list.some((chunk) => chunk.seq === what.remove))
          assert.deepEqual(queue.remove(what.remove), list.find((chunk) => chunk.seq === what.remove))
          list = list.filter((chunk) => chunk.seq !== what.remove)
        }
        assert.equal(queue.size, list.length)
        assert.deepEqual(queue.first(), list[0])
      }
    }),
    { numRuns: 50 },
  )
})
