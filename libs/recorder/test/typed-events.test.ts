import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { TypedEventTarget } from '../src/typed-events.ts'

class Counter extends TypedEventTarget<{ count: number; error: Error }> {
  /** @returns whether anyone listened */
  count(value: number): boolean {
    return this.emit('count', value)
  }

  fail(error: Error): boolean {
    return this.emit('error', error)
  }
}

let counter: Counter
let seen: number[]
const see = (value: number): void => void seen.push(value)
beforeEach(() => {
  counter = new Counter()
  seen = []
})

describe('events', () => {
  it('reach listeners of both forms, as an EventTarget does it', () => {
    counter.on('count', see)
    counter.addEventListener('count', ({ detail, type, target }) => {
      assert.deepEqual([type, target], ['count', counter])
      see(detail)
    })
    counter.addEventListener('count', { handleEvent: ({ detail }) => see(-detail) })
    assert.ok(counter instanceof EventTarget)
    counter.count(7)
    assert.deepEqual(seen, [7, 7, -7])
  })

  it('end where asked: by the returned function, by removeEventListener, after one, by a signal', () => {
    const abort = new AbortController()
    const listener = ({ detail }: CustomEvent<number>): void => see(detail)
    const end = counter.on('count', see)
    counter.addEventListener('count', listener)
    counter.on('count', see, { once: true })
    counter.on('count', see, { signal: abort.signal })
    counter.count(1)
    assert.deepEqual(seen, [1, 1, 1, 1])
    end()
    counter.removeEventListener('count', listener)
    abort.abort()
    counter.count(2)
    assert.deepEqual(seen, [1, 1, 1, 1])
  })

  it('reach a listener once that was added twice', () => {
    const listener = ({ detail }: CustomEvent<number>): void => see(detail)
    counter.addEventListener('count', listener)
    counter.addEventListener('count', listener)
    counter.count(1)
    assert.deepEqual(seen, [1])
  })

  it('tell whoever emits whether anyone listened, also where a listener emits another', () => {
    assert.equal(counter.count(1), false)
    counter.on('count', () => assert.equal(counter.fail(new Error('unheard')), false))
    assert.equal(counter.count(1), true)
    counter.on('error', () => undefined, { once: true })
    assert.equal(counter.fail(new Error('heard')), true)
    assert.equal(counter.fail(new Error('unheard')), false)
  })
})
