import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pageOf } from '../src/session-list.ts'

const session = (id: string, createdAt: string) => ({ id, createdAt, status: 'waiting' as const, version: 0, startedAt: null, endedAt: null, tracks: [] })

test('pages run newest first and end, also while sessions come', () => {
  const all = [session('a', '2026-01-01'), session('b', '2026-01-03'), session('c', '2026-01-02'), session('d', '2026-01-02')]
  const first = pageOf(all, { limit: 2 })
  assert.deepEqual(
    first.sessions.map(({ id }) => id),
    ['b', 'c'],
  )
  assert.ok(first.next !== null)
  const second = pageOf([...all, session('e', '2026-01-09')], { limit: 2, after: first.next })
  assert.deepEqual(
    second.sessions.map(({ id }) => id),
    ['d', 'a'],
  )
  assert.equal(second.next, null)
  assert.deepEqual(pageOf([], { limit: 2 }), { sessions: [], next: null })
})

test('a cursor that is none is refused', () => {
  assert.throws(() => pageOf([], { limit: 2, after: '!!' }), { code: 'INVALID_REQUEST' })
})
