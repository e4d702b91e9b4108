import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PartState, SessionState } from '@longtake/contracts'
import { CommitChanges, evolve, judge, nextJudgementAt } from '../src/index.ts'
import { at, committed, created, ms, whole } from './facts.ts'

/** Parts of 10 s, one right after the other; `look` is called whenever a rule reads what is stored of one. */
function parts(count: number, look: () => void, fields: Partial<PartState> = {}): PartState[] {
  return Array.from({ length: count }, (_, i) => {
    const part = whole(10, { part: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`, startedAt: at(10 * i), startMs: 10_000 * i, endMs: 10_000 * (i + 1), ...fields })
    const { stored } = part
    return Object.defineProperty(part, 'stored', { enumerable: true, get: () => (look(), stored) })
  })
}

/** How often the rules look at a part when one is added to so many. */
function looks(count: number): { folding: number; judging: number } {
  let seen = 0
  const all = parts(count + 1, () => seen++)
  let state = evolve(undefined, created(), '0')
  state = judge(evolve(state, committed(1, all.slice(0, count)), '1'), ms(1)).state
  assert.ok(seen >= count, 'looks are counted')
  seen = 0
  // As it comes from Kafka: nothing of it is the same object as before.
  const event = committed(2, structuredClone(all.slice(0, count)).concat(all.slice(count)))
  seen = 0
  state = evolve(state, event, '2')
  const folding = seen
  judge(state, ms(2))
  return { folding, judging: seen - folding }
}

test('an event of a long session is compared part by part, and judged only where something changed', () => {
  const few = looks(5)
  const many = looks(500)
  assert.deepEqual(few.folding, 5)
  assert.equal(many.folding, 500)
  assert.ok(many.judging > 0)
  assert.equal(many.judging, few.judging)
})

test('an event that says the same leaves the very same parts', () => {
  const all = parts(3, () => {})
  const state = evolve(evolve(undefined, created(), '0'), committed(1, all), '1')
  const again = evolve(state, committed(2, structuredClone(all)), '2')
  const before = state.tracks['webcam']!.files[0]!
  const after = again.tracks['webcam']!.files[0]!
  assert.equal(after.commit.number, 2)
  assert.equal(after.parts, before.parts)
  const changed = evolve(again, committed(3, structuredClone([all[0]!, { ...all[1]!, bytes: 5 }, all[2]!])), '3').tracks['webcam']!.files[0]!.parts
  assert.deepEqual([0, 1, 2].map((i) => changed[i] === before.parts[i]), [true, false, true])
})

/** How many properties of parts the rules read for a `parts-committed` in a session of so many parts. */
function readsOfChange(count: number, fields: Partial<PartState>): number {
  let reads = 0
  const counted = (one: PartState): PartState => new Proxy(one, { get: (target, name) => (reads++, Reflect.get(target, name)) })
  const ended = parts(count, () => {}, fields).map(counted)
  const last = parts(count + 1, () => {}, { ...fields, closed: null }).at(-1)!
  const changes = new CommitChanges()
  let state: SessionState | undefined
  for (const number of [1, 2, 3]) {
    const whole = committed(number, [...ended, counted({ ...last, bytes: number })])
    const event = { ...changes.eventOf(whole), at: whole.at }
    changes.published(whole, event)
    assert.equal(event.type, number === 1 ? 'blocks-committed' : 'parts-committed')
    // What the first change finds out about the others is kept from then on.
    reads = 0
    state = judge(evolve(state, event, String(number)), ms(10 + number)).state
    nextJudgementAt(state, ms(10 + number))
  }
  return reads
}

test('a parts-committed event costs the same however many parts there are', () => {
  const hole = { stored: [[0, 3], [6, 9]] as [number, number][], chunks: 8 }
  for (const fields of [{}, hole]) {
    const few = readsOfChange(40, fields)
    assert.ok(few > 0)
    assert.equal(readsOfChange(40 + 20 * 32, fields), few)
  }
})
