import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DOUBTED_SILENCE_MS, LINK_SILENCE_MS } from '../src/upload/liveness.ts'
import { CONNECT_TIMEOUT_MS } from '../src/upload/link.ts'
import {
  connected,
  connecting,
  cut,
  forgets,
  given,
  NOW,
  opened,
  reconnects,
  says,
  sends,
  sendsChunks,
  sendsOpen,
  spooled,
  ticked,
  WEBCAM,
  type Step,
} from './conversation.ts'

describe('a silent server', () => {
  it('is pinged every heartbeat', () => {
    given(connected()).when(ticked(NOW + 9_999), ticked(NOW + 10_000), ticked(NOW + 12_000)).thenDo(sends({ type: 'ping', t: NOW + 10_000 }))
  })
  const pinged = [connected(), ticked(NOW + 10_000)]
  const deadAt = NOW + 10_000 + LINK_SILENCE_MS
  it('that answers no ping for long is given up', () => {
    given(...pinged).when(ticked(deadAt)).thenDo({ do: 'disconnect' }, reconnects(null, 1))
  })
  it('that answers lives', () => {
    given(...pinged, says({ type: 'pong', t: 0 }, NOW + 10_050)).when(ticked(deadAt)).thenDo(sends({ type: 'ping', t: deadAt }))
  })
  it('that says anything lives', () => {
    given(...pinged, says({ type: 'window', windowBytes: 5 }, deadAt - 1)).when(ticked(deadAt)).thenDo(sends({ type: 'ping', t: deadAt }))
  })
  it('that takes bytes lives: on a slow line the ping waits behind them', () => {
    given(...pinged, ticked(NOW + 11_000, 500)).when(ticked(deadAt, 400)).thenDo(sends({ type: 'ping', t: deadAt }))
    given(...pinged, ticked(NOW + 11_000, 500)).when(ticked(deadAt, 500)).thenDo({ do: 'disconnect' }, reconnects(null, 1))
  })
  it('is not judged by a sleep of this device before the ping', () => {
    given(connected()).when(ticked(deadAt + 3_600_000)).thenDo(sends({ type: 'ping', t: deadAt + 3_600_000 }))
  })
  it('is found even if the clock is set back', () => {
    given(...pinged, ticked(NOW - 3_600_000)).when(ticked(NOW - 3_600_000 + LINK_SILENCE_MS)).thenDo({ do: 'disconnect' }, reconnects(null, 1))
  })
  it('of which there is reason to doubt is asked at once, and given up sooner', () => {
    const doubted: Step = (session) => session.doubt(NOW + 1000, 0)
    given(connected()).when(doubted).thenDo(sends({ type: 'ping', t: NOW + 1000 }))
    given(connected(), doubted).when(ticked(NOW + 1000 + DOUBTED_SILENCE_MS)).thenDo({ do: 'disconnect' }, reconnects(null, 1))
    given(connected(), doubted, says({ type: 'pong', t: 0 }, NOW + 1100)).when(ticked(NOW + 1000 + DOUBTED_SILENCE_MS)).thenDo(sends({ type: 'ping', t: NOW + 1000 + DOUBTED_SILENCE_MS }))
    given(cut()).when(doubted).thenNothing()
  })
  it('is doubted after a sleep', () => {
    const woken = NOW + 60_000
    given(connected(), ticked(woken), ticked(woken + 5000)).when(ticked(woken + DOUBTED_SILENCE_MS)).thenDo({ do: 'disconnect' }, reconnects(null, 1))
  })
  it('that never welcomes is given up', () => {
    given(connecting).when(ticked(NOW + CONNECT_TIMEOUT_MS - 1)).thenNothing()
    given(connecting).when(ticked(NOW + CONNECT_TIMEOUT_MS)).thenDo({ do: 'disconnect' }, reconnects(null, 1))
    given(connecting, ticked(NOW - 3_600_000)).when(ticked(NOW - 3_600_000 + CONNECT_TIMEOUT_MS)).thenDo({ do: 'disconnect' }, reconnects(null, 1))
  })
})

describe('a socket whose bufferedAmount is not true', () => {
  const MIB = 1024 * 1024
  const wide = { windowBytes: 4 * MIB, maxChunkBytes: MIB }
  /** Ticks every 2 s for so long. @returns whether the link is taken for dead meanwhile */
  const dies = (steps: Step[], forMs: number, buffered: (ms: number) => number): boolean => {
    const { session } = given(...steps)
    for (let ms = 2000; ms <= forMs; ms += 2000) if (session.tick(NOW + ms, buffered(ms)).some(({ do: what }) => what === 'disconnect')) return true
    return false
  }
  const large = [opened(WEBCAM), connected(wide), spooled(WEBCAM, 0, 3, MIB)]
  it('is waited for as long as a chunk needs on a slow line, where it is always 0 or never falls', () => {
    // 1 MiB at 150 kbit/s.
    assert.equal(dies(large, 56_000, () => 0), false)
    assert.equal(dies(large, 56_000, () => 4 * MIB), false)
    assert.equal(dies(large, 180_000, () => 0), true)
  })
  it('is not waited for longer where nothing is in flight', () => assert.equal(dies([connected(wide)], 60_000, () => 0), true))
  it('is not believed for ever where it shrinks and nothing is answered', () => {
    assert.equal(dies(large, 200_000, (ms) => 10 * MIB - ms), false)
    assert.equal(dies(large, 500_000, (ms) => 10 * MIB - ms), true)
  })
  it('does not decide how much is sent: that is what is not acknowledged', () => {
    const { session } = given(...large, ticked(NOW + 2000, 0))
    assert.equal(session.progress()['webcam']?.sent.chunks, 4)
    given(opened(WEBCAM), connected({ windowBytes: 250 }), spooled(WEBCAM, 0, 9)).when(ticked(NOW + 2000, 0)).thenNothing()
  })
})

describe('a recovery beside a recording', () => {
  const yielding: Step = (session) => session.yieldLine(true)
  const ackedAt = (seq: number, ms: number): Step => says({ type: 'ack', handle: 0, from: seq, to: seq }, NOW + ms)
  const slow = [opened(WEBCAM), spooled(WEBCAM, 0, 3), yielding, connected()]
  it('sends one chunk at a time, and then leaves the line alone four times as long as that took', () => {
    given(opened(WEBCAM), spooled(WEBCAM, 0, 3), yielding).when(connected()).thenDo(sendsOpen(0, WEBCAM), ...sendsChunks(0, WEBCAM, 0))
    given(...slow).when(ackedAt(0, 2000)).thenDo(forgets(WEBCAM, 0, 0))
    given(...slow, ackedAt(0, 2000)).when(ticked(NOW + 9900)).thenNothing()
    given(...slow, ackedAt(0, 2000)).when(ticked(NOW + 10_000)).thenDo(...sendsChunks(0, WEBCAM, 1), sends({ type: 'ping', t: NOW + 10_000 }))
  })
  it('measures each chunk from its own start', () => {
    given(...slow, ackedAt(0, 2000), ticked(NOW + 9000), ticked(NOW + 10_000), ackedAt(1, 11_000)).when(ticked(NOW + 14_000)).thenNothing()
    given(...slow, ackedAt(0, 2000), ticked(NOW + 9000), ticked(NOW + 10_000), ackedAt(1, 11_000)).when(ticked(NOW + 15_000)).thenDo(...sendsChunks(0, WEBCAM, 2))
  })
  it('rests no longer than a minute, also when the clock is set back', () => {
    given(...slow, ackedAt(0, 40_000)).when(ticked(NOW + 100_000)).thenDo(...sendsChunks(0, WEBCAM, 1), sends({ type: 'ping', t: NOW + 100_000 }))
    given(...slow, ackedAt(0, 40_000)).when(ticked(NOW - 3_600_000)).thenDo(...sendsChunks(0, WEBCAM, 1))
  })
  it('takes the line as soon as nothing is recorded any more', () => {
    given(...slow, ackedAt(0, 2000)).when((session) => session.yieldLine(false)).thenDo(...sendsChunks(0, WEBCAM, 1, 3))
    given(...slow).when(yielding).thenNothing()
  })
})
