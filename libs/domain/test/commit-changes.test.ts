import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventOf, PartState, SessionState } from '@longtake/contracts'
import fc from 'fast-check'
import { CommitChanges, evolve } from '../src/index.ts'
import { at, committed, created, part, whole } from './facts.ts'

const idOf = (i: number): string => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`
const ended = (i: number, bytes = 1000): PartState => whole(10, { part: idOf(i), startMs: 10_000 * i, endMs: 10_000 * (i + 1), bytes })
const open = (i: number, bytes = 1000): PartState => part({ part: idOf(i), stored: [[0, 3]], startMs: 10_000 * i, endMs: 10_000 * i + 4_000, bytes })

type Published = EventOf<'blocks-committed'> | EventOf<'parts-committed'>

/** What one writer publishes of these states of its file. */
function publishedOf(states: readonly (readonly PartState[])[], firstNumber = 1): Published[] {
  const changes = new CommitChanges()
  return states.map((parts, i) => {
    const commit = committed(firstNumber + i, [...parts])
    const event = changes.eventOf(commit)
    changes.published(commit, event)
    // As it comes from Kafka: nothing of it is the same object as before.
    return structuredClone({ ...event, at: commit.at })
  })
}

const folded = (events: readonly Published[], before?: SessionState): SessionState =>
  events.reduce((state, event) => evolve(state, event, String(BigInt(state.eventsOffset) + 1n)), before ?? evolve(undefined, created(), '0'))
const partsIn = (state: SessionState): readonly PartState[] => state.tracks['webcam']!.files[0]!.parts

test('a commit of a long file publishes the parts that it changed', () => {
  const before = [...Array.from({ length: 50 }, (_, i) => ended(i)), open(50)]
  const after = [...before.slice(0, 50), ended(50), open(51)]
  const [first, second] = publishedOf([before, after])
  assert.equal(first!.type, 'blocks-committed')
  assert.equal(second!.type, 'parts-committed')
  assert.deepEqual(second!.parts.map((one) => one.part), [idOf(50), idOf(51)])
  assert.deepEqual(partsIn(folded([first!, second!])), after)
})

test('given a part that left the file, when it stands there again without a place, then its media stays in the state', () => {
  const before = [...Array.from({ length: 50 }, (_, i) => ended(i)), open(50)]
  const after = [...before, { ...before[0]!, startMs: null, endMs: null }]
  const later = after.with(50, open(50, 2000))
  const events = publishedOf([before, after, later, before.with(50, open(50, 3000))])
  assert.deepEqual(events.map((_, i) => partsIn(folded(events.slice(0, i + 1)))), [before, after, later, before.with(50, open(50, 3000))])
})

test('a file of few parts is published whole with every commit', () => {
  const before = [...Array.from({ length: 15 }, (_, i) => ended(i)), open(15)]
  const after = [...before.slice(0, 15), open(15, 2000)]
  assert.deepEqual(publishedOf([before, after]).map(({ type }) => type), ['blocks-committed', 'blocks-committed'])
})

test('a file whose last part has ended is published whole', () => {
  const before = [...Array.from({ length: 50 }, (_, i) => ended(i)), open(50)]
  const after = [...before.slice(0, 50), ended(50)]
  assert.equal(publishedOf([before, after])[1]!.type, 'blocks-committed')
})

test('what is published of a commit does not grow with the parts of its file', () => {
  const published = (count: number): number => {
    const parts = Array.from({ length: count }, (_, i) => ended(i))
    const states = Array.from({ length: 2 * count }, (_, i) => [...parts, open(count, i)])
    return publishedOf(states).reduce((sum, event) => sum + event.parts.length, 0) / states.length
  }
  assert.ok(published(50) < 3, `${published(50)} parts a commit`)
  assert.ok(published(500) < 3, `${published(500)} parts a commit`)
})

test('changes of a commit that is not known are refused, and the next whole commit has everything', () => {
  const parts = Array.from({ length: 50 }, (_, i) => ended(i))
  const states = [[...parts, open(50, 1)], [...parts, open(50, 2)], [...parts, open(50, 3)], [...parts, ended(50)]]
  const events = publishedOf(states)
  const state = folded(events.slice(0, 1))
  assert.throws(() => folded(events.slice(2, 3), state), RangeError)
  assert.throws(() => folded(events.slice(2, 3)), RangeError)
  assert.deepEqual(partsIn(folded(events.slice(3), state)), states[3])
})

test('changes that come again, or after later commits, change nothing', () => {
  const parts = Array.from({ length: 50 }, (_, i) => ended(i))
  const events = publishedOf([[...parts, open(50, 1)], [...parts, open(50, 2)], [...parts, open(50, 3)]])
  const state = folded(events)
  const again = folded(events.slice(1), state)
  assert.equal(partsIn(again), partsIn(state))
  assert.equal(again.tracks['webcam']!.files[0]!.commit.number, 3)
})

test('whatever becomes of the parts, changes give the same state as whole commits, also of writers that follow each other', () => {
  const change = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('change' as const), place: fc.nat(), bytes: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('add' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), place: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('move' as const), place: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('add again' as const), place: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('new writer' as const) }) },
  )
  fc.assert(
    fc.property(fc.integer({ min: 10, max: 30 }), fc.array(change, { maxLength: 40 }), (count, changes) => {
      let parts = [...Array.from({ length: count }, (_, i) => ended(i)), open(count)]
      let next = count + 1
      let states = [parts]
      let number = 1
      let state: SessionState | undefined
      const publish = (): void => {
        state = folded(publishedOf(states, number), state)
        assert.deepEqual(partsIn(state), states.at(-1))
        number += states.length
      }
      for (const one of changes) {
        parts = [...parts]
        const place = 'place' in one ? one.place % parts.length : 0
        switch (one.kind) {
          case 'change':
            parts[place] = { ...parts[place]!, bytes: one.bytes }
            break
          case 'add':
            parts.push(open(next++))
            break
          case 'remove':
            if (parts.length > 1) parts.splice(place, 1)
            break
          case 'move':
            parts.unshift(...parts.splice(place, 1))
            break
          case 'add again':
            parts.push({ ...parts[place]!, startMs: null, endMs: null })
            break
          case 'new writer':
            publish()
            states = []
            break
          default:
            one satisfies never
        }
        states.push(parts)
      }
      publish()
      assert.equal(at(0), state!.createdAt)
    }),
    { numRuns: 200 },
  )
})
