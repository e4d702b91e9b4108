import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SituationWatch, type SituationFacts } from '../src/situation.ts'

const CALM: Omit<SituationFacts, 'now'> = {
  phase: 'recording',
  connection: 'connected',
  anyTrack: true,
  anyDelivers: true,
  stalled: [],
  paused: false,
  waitingBytes: 0,
  acknowledgedBytes: 0,
  lostChunks: 0,
  oldestWaitingAt: null,
  inMemory: false,
  storeFails: false,
}
const MINUTE = 60_000

/** The words after each of the steps, which say what is different from a calm recording. */
function wordsOf(...steps: (Partial<SituationFacts> & { now: number })[]): string[] {
  const watch = new SituationWatch()
  return steps.map((step) => watch.see({ ...CALM, ...step }).words)
}

describe('the situation in words', () => {
  it('is recording, from the first moment on and while the line keeps up', () => {
    const words = wordsOf(
      { now: 0, connection: 'connecting' },
      { now: 1000, waitingBytes: 10, oldestWaitingAt: 0 },
      { now: 3000, acknowledgedBytes: 10, waitingBytes: 10, oldestWaitingAt: 1500 },
    )
    assert.deepEqual(words, ['Recording', 'Recording', 'Recording'])
  })

  it('never says recording while no data comes', () => {
    const watch = new SituationWatch()
    const see = (facts: Partial<SituationFacts>) => {
      const { kind, words, recording } = watch.see({ now: 0, ...CALM, ...facts })
      return [kind, recording, words]
    }
    assert.deepEqual(see({ anyDelivers: false, stalled: ['webcam'] }), ['stalled', false, 'Nothing is being recorded · no data from webcam'])
    assert.deepEqual(see({ stalled: ['screen'] }), ['recording', true, 'Recording · no data from screen'])
    assert.deepEqual(see({ anyDelivers: false, paused: true }), ['paused', false, 'Paused'])
  })

  it('does not call safe what would be gone with the page', () => {
    const words = wordsOf(
      { now: 0, inMemory: true, waitingBytes: 10, oldestWaitingAt: 0 },
      { now: MINUTE, connection: 'offline', waitingBytes: 600, oldestWaitingAt: 0, inMemory: true },
      { now: 2 * MINUTE, waitingBytes: 600, oldestWaitingAt: 0, inMemory: true },
      { now: 2 * MINUTE + 1000, acknowledgedBytes: 300, waitingBytes: 300, oldestWaitingAt: MINUTE },
    )
    assert.deepEqual(words, [
      'Recording',
      'Recording · no connection, and this computer has no place for it (1 minute kept by this page): leave this page open',
      'Recording · catching up (0 %): leave this page open',
      'Recording · catching up (50 %)',
    ])
  })

  it('asks to leave the page open as soon as the store refuses chunks, also while all of them are sent', () => {
    assert.deepEqual(wordsOf({ now: 0, storeFails: true }, { now: 1, storeFails: true, paused: true, lostChunks: 1 }, { now: 2 }), [
      'Recording · this computer cannot store the recording: leave this page open',
      'Paused · this computer cannot store the recording: leave this page open · one chunk is lost',
      'Recording',
    ])
  })

  it('counts the minutes that only this computer has, and then how far it has caught up', () => {
    const words = wordsOf(
      { now: 0 },
      { now: 1000, connection: 'offline', waitingBytes: 10, oldestWaitingAt: 0 },
      { now: 1001, connection: 'connecting', waitingBytes: 10, oldestWaitingAt: 0 },
      { now: MINUTE, connection: 'connecting', waitingBytes: 600, oldestWaitingAt: 0 },
      { now: 12 * MINUTE, connection: 'offline', waitingBytes: 1000, oldestWaitingAt: 0 },
      { now: 12 * MINUTE + 1000, waitingBytes: 1000, oldestWaitingAt: 0 },
      { now: 12 * MINUTE + 2000, acknowledgedBytes: 400, waitingBytes: 600, oldestWaitingAt: 5 * MINUTE },
      { now: 12 * MINUTE + 3000, acknowledgedBytes: 1000, waitingBytes: 1, oldestWaitingAt: 12 * MINUTE - 10_000 },
      { now: 12 * MINUTE + 4000, acknowledgedBytes: 1001, waitingBytes: 10, oldestWaitingAt: 12 * MINUTE + 3000 },
    )
    assert.deepEqual(words, [
      'Recording',
      'Recording · no connection, but safe (less than a minute kept on this computer)',
      'Recording · no connection, but safe (less than a minute kept on this computer)',
      'Recording · no connection, but safe (1 minute kept on this computer)',
      'Recording · no connection, but safe (12 minutes kept on this computer)',
      'Recording · catching up (0 %)',
      'Recording · catching up (40 %)',
      'Recording · catching up (99 %)',
      'Recording',
    ])
  })

  it('tells a server that does not answer from a slow one', () => {
    const words = wordsOf(
      { now: 0 },
      { now: 4000, waitingBytes: 10, oldestWaitingAt: 1000 },
      { now: 6000, waitingBytes: 20, oldestWaitingAt: 1000 },
      { now: 7000, acknowledgedBytes: 1, waitingBytes: 20, oldestWaitingAt: 2000 },
    )
    assert.deepEqual(words, ['Recording', 'Recording', 'Recording · the server does not answer, but safe (less than a minute kept on this computer)', 'Recording'])
  })

  it('says after stop what is left, how long it stays so, and when the page may be closed', () => {
    const watch = new SituationWatch()
    const see = (step: Partial<SituationFacts> & { now: number }): string => watch.see({ ...CALM, phase: 'stopping', ...step }).words
    watch.see({ ...CALM, now: 0 })
    assert.equal(see({ now: 2 * MINUTE, connection: 'offline', waitingBytes: 100, oldestWaitingAt: 0 }), 'Stopped · no connection, but safe (2 minutes kept on this computer): leave this page open')
    assert.equal(see({ now: 9 * MINUTE, connection: 'offline', waitingBytes: 100, oldestWaitingAt: 0 }), 'Stopped · no connection, but safe (2 minutes kept on this computer): leave this page open')
    assert.equal(see({ now: 9 * MINUTE + 1, acknowledgedBytes: 25, waitingBytes: 75, oldestWaitingAt: 1 }), 'Stopped · catching up (25 %): leave this page open')
    assert.equal(see({ now: 9 * MINUTE + 2, acknowledgedBytes: 100 }), 'Stopped · catching up (100 %): leave this page open')
    assert.equal(see({ now: 9 * MINUTE + 3, phase: 'stopped', connection: 'offline' }), 'All safe: you may close this page')
  })

  it('never calls a recording with losses safe', () => {
    assert.deepEqual(wordsOf({ now: 0, lostChunks: 1 }, { now: 1, lostChunks: 2, phase: 'stopped' }), [
      'Recording · one chunk is lost',
      'All that could be saved is safe; 2 chunks are lost',
    ])
  })

  it('says so when nothing is recorded', () => {
    assert.deepEqual(wordsOf({ now: 0, paused: true }, { now: 1, anyTrack: false }), ['Paused', 'Nothing is recorded any more'])
  })

  it('says why when it has ended', () => {
    assert.deepEqual(wordsOf({ now: 0, phase: 'failed', connection: 'offline' }), ['Recording has ended: it was deleted on the server, and nothing of it is kept'])
  })
})
