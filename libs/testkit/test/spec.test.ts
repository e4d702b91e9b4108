import assert from 'node:assert/strict'
import { test } from 'node:test'
import { specification, type Decider } from '../src/index.ts'

type Event = { type: 'added'; n: number }
interface State { sum: number }
const counter: Decider<{ add: number }, Event, State> = {
  initial: () => ({ sum: 0 }),
  decide: ({ add }, { sum }) => {
    if (add < 0) throw new RangeError('never down')
    return sum >= 10 ? [] : [{ type: 'added', n: add }]
  },
  evolve: ({ sum }, { n }) => ({ sum: sum + n }),
}
const given = specification(counter)
const added = (n: number): Event => ({ type: 'added', n })

test('given, when, then', () => {
  given([added(4)]).when({ add: 2 }).then(added(2))
  given([added(4)]).when({ add: 2 }).then([added(2)])
  given([added(4)]).when({ add: 2 }).thenState({ sum: 6 })
  given([added(10)]).when({ add: 2 }).thenNothing()
  given([]).when({ add: -1 }).thenThrows(RangeError)
  given([added(1), added(2)]).thenState({ sum: 3 })
})

test('every kind of assertion fails when it should', () => {
  assert.throws(() => given([added(4)]).when({ add: 2 }).then(added(3)))
  assert.throws(() => given([added(4)]).when({ add: 2 }).then([added(2), added(2)]))
  assert.throws(() => given([added(4)]).when({ add: 2 }).thenNothing())
  assert.throws(() => given([]).when({ add: 1 }).thenThrows(RangeError))
  assert.throws(() => given([]).when({ add: 1 }).thenState({ sum: 2 }))
  assert.throws(() => given([]).thenState({ sum: 1 }))
})

test('an evolve that changes the state it was given fails', () => {
  const sloppy = specification<{ add: number }, Event, State>({
    ...counter,
    evolve: (state, { n }) => {
      state.sum += n
      return state
    },
  })
  assert.throws(() => sloppy([added(1)]).thenState({ sum: 1 }), TypeError)
})
