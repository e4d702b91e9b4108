import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CLOSE_CODES } from '@longtake/contracts/protocol'
import { FIRST_PROBE_MS, LONGEST_PROBE_MS, TransportChoice } from '../src/upload/transport-choice.ts'

interface Attempt {
  /** Null: there was no welcome. */
  livedMs: number | null
  hungMs?: number
  code?: number | null
  fruitful?: boolean
}
const FAILED: Attempt = { livedMs: null }
const WELL: Attempt = { livedMs: 3_600_000, fruitful: true }

/** The transports of the attempts, and of the one after them; `polling, given up` where it connected and was not used. */
class Attempts {
  readonly choice = new TransportChoice()
  now = 1000

  made(...attempts: Attempt[]): string[] {
    const kinds = attempts.map(({ livedMs, hungMs = 50, code = 1006, fruitful = false }) => {
      const { kind } = this.choice
      this.choice.connecting(this.now)
      this.now += hungMs
      if (livedMs !== null && this.choice.welcomed(this.now) === 'try-other') return `${kind}, given up`
      this.now += livedMs ?? 0
      this.choice.ended(code, fruitful, this.now)
      return kind
    })
    return [...kinds, this.choice.kind]
  }

  connects(): void {
    this.choice.connecting(this.now)
    assert.equal(this.choice.welcomed(this.now), 'use')
  }

  /** Polls, after WebSockets have failed. */
  static polling(): Attempts {
    const attempts = new Attempts()
    attempts.made(FAILED, FAILED, WELL, FAILED)
    attempts.connects()
    return attempts
  }
}
const made = (...attempts: Attempt[]): string[] => new Attempts().made(...attempts)

describe('the next transport', () => {
  it('is polling after two WebSockets in a row have failed to open', () => {
    assert.deepEqual(made(FAILED, FAILED), ['websocket', 'websocket', 'polling'])
    assert.deepEqual(made(FAILED, WELL, FAILED), ['websocket', 'websocket', 'websocket', 'websocket'])
  })
  it('is polling after one that hung', () => assert.deepEqual(made({ livedMs: null, hungMs: 20_000, code: null }), ['websocket', 'polling']))
  it('is polling after two that were cut at once, whether or not anything arrived', () => {
    assert.deepEqual(made({ livedMs: 200 }, { livedMs: 3000, fruitful: true }), ['websocket', 'websocket', 'polling'])
  })
  it('is polling after two by which nothing became durable, however long they lived', () => {
    assert.deepEqual(made({ livedMs: 60_000 }, { livedMs: 60_000, code: null }).at(-1), 'polling')
  })
  it('stays a WebSocket where lines break now and then', () => {
    assert.deepEqual(new Set(made(...Array.from({ length: 9 }, () => ({ livedMs: 60_000, fruitful: true })))), new Set(['websocket']))
  })
  it('stays a WebSocket where the server decides to close', () => {
    for (const code of Object.values(CLOSE_CODES)) assert.deepEqual(new Set(made({ livedMs: 10, code }, { livedMs: 10, code }, FAILED)), new Set(['websocket']))
  })
  it('does not depend on attempts that never reached the network', () => {
    const { choice } = new Attempts()
    for (let i = 0; i < 5; i++) choice.ended(null, false, 60_000)
    assert.equal(choice.kind, 'websocket')
  })
  it('takes turns where nothing works', () => {
    assert.deepEqual(made(FAILED, FAILED, FAILED, FAILED, FAILED, FAILED), ['websocket', 'websocket', 'polling', 'websocket', 'websocket', 'polling', 'websocket'])
  })
  it('is polling again when a connection by polling is lost', () => {
    const { choice } = Attempts.polling()
    choice.ended(1006, true, 60_000)
    assert.equal(choice.kind, 'polling')
    choice.connecting(60_000)
    choice.ended(1006, false, 61_000)
    assert.equal(choice.kind, 'websocket')
  })
  it('is a WebSocket once more when polling connects, since an outage may be over', () => {
    assert.deepEqual(made(FAILED, FAILED, WELL, WELL), ['websocket', 'websocket', 'polling, given up', 'websocket', 'websocket'])
  })
  it('is polling, at once, when that WebSocket fails, too', () => {
    assert.deepEqual(made(FAILED, FAILED, WELL, FAILED, WELL), ['websocket', 'websocket', 'polling, given up', 'websocket', 'polling', 'polling'])
    assert.deepEqual(made(FAILED, FAILED, WELL, { livedMs: 10, fruitful: true }).at(-1), 'polling')
    const attempts = new Attempts()
    attempts.made(FAILED, FAILED, WELL)
    assert.equal(attempts.choice.isLastTrial, true)
    attempts.choice.connecting(attempts.now)
    assert.equal(attempts.choice.ended(1006, false, attempts.now), true)
  })
  it('stays a WebSocket where the server decides to close the one that is the last trial', () => {
    assert.deepEqual(made(FAILED, FAILED, WELL, { livedMs: null, code: CLOSE_CODES.overloaded }).at(-1), 'websocket')
  })
})

describe('while polling', () => {
  it('a WebSocket is tried after 10 s, and then ever more seldom', () => {
    const { choice, now } = Attempts.polling()
    assert.equal(choice.isProbeDue(now + FIRST_PROBE_MS - 1), false)
    let at = now
    for (let afterMs = FIRST_PROBE_MS, probes = 0; probes < 20; probes++, afterMs = Math.min(LONGEST_PROBE_MS, afterMs * 2)) {
      assert.equal(choice.isProbeDue(at + afterMs - 1), false)
      assert.equal(choice.isProbeDue((at += afterMs)), true)
      choice.probed(false, at)
    }
    assert.equal(choice.kind, 'polling')
  })
  it('one that works is used, and if it fails after all, the next trial is no sooner', () => {
    const attempts = Attempts.polling()
    attempts.choice.probed(true, attempts.now)
    attempts.choice.ended(null, true, attempts.now)
    attempts.made(FAILED, FAILED, WELL, FAILED)
    attempts.connects()
    assert.equal(attempts.choice.isProbeDue(attempts.now + 2 * FIRST_PROBE_MS - 1), false)
    assert.equal(attempts.choice.isProbeDue(attempts.now + 2 * FIRST_PROBE_MS), true)
  })
  it('a WebSocket is tried at once in another network', () => {
    const { choice, now } = Attempts.polling()
    choice.networkChanged(now + 1)
    assert.equal(choice.isProbeDue(now + 1), true)
  })
  it('nothing is tried while there is no connection', () => {
    const { choice, now } = Attempts.polling()
    choice.ended(1006, true, now)
    choice.connecting(now)
    assert.equal(choice.isProbeDue(now + 3_600_000), false)
  })
})

it('another network begins with a WebSocket, unless polling is connected', () => {
  const attempts = new Attempts()
  attempts.made(FAILED, FAILED)
  attempts.choice.networkChanged(attempts.now)
  assert.equal(attempts.choice.kind, 'websocket')
})
