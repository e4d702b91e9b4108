import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UploadSession } from '../src/upload/upload-session.ts'
import {
  acked,
  AHEAD_MS,
  asked,
  closed,
  connected,
  connecting,
  cut,
  durable,
  finishDurable,
  finished,
  forgets,
  given,
  missing,
  notesOpened,
  notKept,
  NOW,
  opened,
  reconnects,
  refused,
  says,
  SCREEN,
  sends,
  sendsChunks,
  sendsClose,
  sendsLost,
  sendsOpen,
  spooled,
  WEBCAM,
  type Part,
} from './conversation.ts'

const finish = sends({ type: 'finish', parts: { webcam: [WEBCAM.part] } })

describe('opening and sending', () => {
  it('sends nothing before the welcome', () => {
    given(opened(WEBCAM), spooled(WEBCAM, 0), connecting).when(says({ type: 'window', windowBytes: 1000 }), spooled(WEBCAM, 1)).thenNothing()
  })
  it('opens parts before their chunks, in the server time', () => {
    given(opened(WEBCAM), spooled(WEBCAM, 0, 1)).when(connected()).thenDo(sendsOpen(0, WEBCAM), ...sendsChunks(0, WEBCAM, 0, 1))
  })
  it('opens a part at once while connected, each with a handle of its own', () => {
    given(opened(WEBCAM), connected()).when(opened(SCREEN), spooled(SCREEN, 0)).thenDo(sendsOpen(1, SCREEN), ...sendsChunks(1, SCREEN, 0))
  })
  it('sends the oldest first, over all tracks', () => {
    given(opened(WEBCAM), opened(SCREEN), spooled(WEBCAM, 0, 1), spooled(SCREEN, 0, 1))
      .when(connected())
      .thenDo(
        sendsOpen(0, WEBCAM),
        sendsOpen(1, SCREEN),
        ...sendsChunks(0, WEBCAM, 0),
        ...sendsChunks(1, SCREEN, 0),
        ...sendsChunks(0, WEBCAM, 1),
        ...sendsChunks(1, SCREEN, 1),
      )
  })
  it('leaves a note of how it was told that a part began, for whoever comes after this page', () => {
    given(opened(WEBCAM)).when(connected()).thenNotes(notesOpened(WEBCAM))
    given(opened(WEBCAM), connected(), cut()).when(connected()).thenNotes()
  })
  it('keeps the start it once said, whatever the clocks do afterwards', () => {
    const later = { type: 'welcome', session: 's', maxChunkBytes: 1000, windowBytes: 1000, heartbeatMs: 10_000, serverTime: new Date(NOW + 99_000).toISOString() } as const
    given(opened(WEBCAM), connected(), cut()).when(connecting, says(later)).thenDo(sendsOpen(0, WEBCAM))
  })
})

describe('the window', () => {
  it('is never exceeded, and acks open it', () => {
    given(opened(WEBCAM), connected({ windowBytes: 250 }))
      .when(spooled(WEBCAM, 0, 3))
      .thenDo(...sendsChunks(0, WEBCAM, 0, 1))
    given(opened(WEBCAM), connected({ windowBytes: 250 }), spooled(WEBCAM, 0, 3))
      .when(acked(0, 0))
      .thenDo(forgets(WEBCAM, 0, 0), ...sendsChunks(0, WEBCAM, 2))
  })
  it('is one for all tracks', () => {
    given(opened(WEBCAM), opened(SCREEN), connected({ windowBytes: 200 }), spooled(WEBCAM, 0), spooled(SCREEN, 0)).when(spooled(WEBCAM, 1)).thenNothing()
  })
  it('lets one chunk alone pass that is wider than it', () => {
    given(opened(WEBCAM), connected({ windowBytes: 50 })).when(spooled(WEBCAM, 0, 1)).thenDo(...sendsChunks(0, WEBCAM, 0))
  })
  it('stops all at 0 and, in a welcome, at 1 byte', () => {
    given(opened(WEBCAM), connected({ windowBytes: 1 })).when(spooled(WEBCAM, 0, 1)).thenNothing()
    given(opened(WEBCAM), connected(), says({ type: 'window', windowBytes: 0 })).when(spooled(WEBCAM, 0)).thenNothing()
  })
  it('goes on when it is widened', () => {
    given(opened(WEBCAM), connected({ windowBytes: 1 }), spooled(WEBCAM, 0, 1))
      .when(says({ type: 'window', windowBytes: 1000 }))
      .thenDo(...sendsChunks(0, WEBCAM, 0, 1))
  })
  it('once narrowed waits until less is in flight', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 3), says({ type: 'window', windowBytes: 200 })).when(spooled(WEBCAM, 4), acked(0, 0, 1)).thenDo(forgets(WEBCAM, 0, 1))
  })
  it('bounds the number of chunks, too', () => {
    const { session } = given(opened(WEBCAM), connected({ windowBytes: 1_000_000 }))
    const sent = spooled(WEBCAM, 0, 1999, 1)(session).filter((action) => action.do === 'send-chunk')
    assert.equal(sent.length, 1024)
  })
})

describe('acks', () => {
  it('forget exactly what they name', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 4)).when(acked(0, 1, 2), acked(0, 4)).thenDo(forgets(WEBCAM, 1, 2), forgets(WEBCAM, 4, 4))
  })
  it('never forget what was not sent on this connection', () => {
    given(opened(WEBCAM), connected({ windowBytes: 200 }), spooled(WEBCAM, 0, 3)).when(acked(0, 2, 1000)).thenNothing()
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0), cut(), connecting).when(acked(0, 0)).thenNothing()
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0)).when(acked(7, 0)).thenNothing()
  })
  it('said twice change nothing', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0), acked(0, 0)).when(acked(0, 0)).thenNothing()
  })
  it('name runs of what was in flight, not of what was asked', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 2), acked(0, 1)).when(acked(0, 0, 2)).thenDo(forgets(WEBCAM, 0, 0), forgets(WEBCAM, 2, 2))
  })
})

describe('after a reconnect', () => {
  it('opens parts again and sends everything that was not acknowledged, in order', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 3), acked(0, 1), cut(), spooled(WEBCAM, 4))
      .when(connected())
      .thenDo(sendsOpen(0, WEBCAM), ...sendsChunks(0, WEBCAM, 0), ...sendsChunks(0, WEBCAM, 2, 4))
  })
  it('says again what is not durable, and only that', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0), closed(WEBCAM, 1), finished, acked(0, 0), durable('open', WEBCAM), cut())
      .when(connected())
      .thenDo(sendsClose(WEBCAM, 1), finish)
    given(opened(WEBCAM), connected(), closed(WEBCAM, 0), finished, durable('close', WEBCAM), finishDurable, cut()).when(connected()).thenDo(sendsOpen(0, WEBCAM))
  })
  it('gives handles anew', () => {
    given(opened(WEBCAM), opened(SCREEN), connected(), closed(WEBCAM, 0), durable('open', WEBCAM), durable('close', WEBCAM), cut())
      .when(connected())
      .thenDo(sendsOpen(0, SCREEN))
  })
  it('sends reports that waited', () => {
    const report = { event: 'paused', track: 'webcam', at: NOW }
    given((session) => session.report(report))
      .when(connected())
      .thenDo(sends({ type: 'report', event: 'paused', track: 'webcam', at: new Date(NOW + AHEAD_MS).toISOString() }))
  })
})

describe('the end', () => {
  it('declares length and parts at once, whatever still waits', () => {
    given(opened(WEBCAM), connected({ windowBytes: 1 }), spooled(WEBCAM, 0, 1)).when(closed(WEBCAM, 2), finished).thenDo(sendsClose(WEBCAM, 2), finish)
  })
  it('names each track’s parts in their order', () => {
    const second: Part = { ...WEBCAM, part: '33333333-3333-4333-8333-333333333333' }
    given(opened(WEBCAM), opened(SCREEN), opened(second), connected())
      .when(finished)
      .thenDo(sends({ type: 'finish', parts: { webcam: [WEBCAM.part, second.part], screen: [SCREEN.part] } }))
  })
  const all = [acked(0, 0), durable('open', WEBCAM), durable('close', WEBCAM), finishDurable]
  for (const [index, last] of all.entries()) {
    it(`is settled when all is durable, whichever comes last (${index})`, () => {
      const before = all.filter((step) => step !== last)
      const { session } = given(opened(WEBCAM), connected(), spooled(WEBCAM, 0), closed(WEBCAM, 1), finished, ...before)
      assert.equal(last(session).filter((action) => action.do === 'settled').length, 1)
    })
    it(`is not settled before (${index})`, () => {
      const before = all.filter((step) => step !== last)
      const { session } = given(opened(WEBCAM), connected(), spooled(WEBCAM, 0), closed(WEBCAM, 1), finished)
      assert.deepEqual(
        before.flatMap((step) => step(session)).filter((action) => action.do === 'settled'),
        [],
      )
    })
  }
  it('without any part is settled by finish alone', () => {
    given(connected(), finished).when(finishDurable).thenDo({ do: 'settled' })
  })
})

describe('resends', () => {
  const sent = [opened(WEBCAM), connected(), spooled(WEBCAM, 0, 5)]
  it('of acknowledged chunks are answered so', () => {
    given(...sent, acked(0, 0, 2)).when(asked(WEBCAM, 1, 2)).thenDo(sendsLost(WEBCAM, 1, 2, 'already-acknowledged'))
  })
  it('of chunks that wait or fly need no answer: they come', () => {
    given(...sent).when(asked(WEBCAM, 0, 5)).thenNothing()
    given(opened(WEBCAM), connected({ windowBytes: 1 }), spooled(WEBCAM, 0, 5)).when(asked(WEBCAM, 0, 5)).thenNothing()
  })
  it('of a mixture are answered by ranges', () => {
    given(...sent, acked(0, 0, 1), missing(WEBCAM, 2), acked(0, 4))
      .when(asked(WEBCAM, 0, 9))
      .thenDo(sendsLost(WEBCAM, 0, 1, 'already-acknowledged'), sendsLost(WEBCAM, 2, 2, 'spool-cleared'), sendsLost(WEBCAM, 4, 4, 'already-acknowledged'))
  })
  it('of what was never made, or is another recorder’s, are left alone', () => {
    given(...sent, acked(0, 0, 5)).when(asked(WEBCAM, 6, 4_000_000_000)).thenNothing()
    given(...sent, acked(0, 0, 5)).when(asked(SCREEN, 0, 1), asked({ ...WEBCAM, track: 'other' }, 0, 1)).thenNothing()
  })
  it('answered “already acknowledged” do not hold up the end', () => {
    given(...sent, acked(0, 0, 5), asked(WEBCAM, 0, 0), durable('open', WEBCAM), closed(WEBCAM, 6), durable('close', WEBCAM), finished)
      .when(finishDurable)
      .thenDo({ do: 'settled' })
  })
})

describe('losses', () => {
  it('of chunks that could not be kept are told', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0)).when(notKept(WEBCAM, 1, 'quota')).thenDo(sendsLost(WEBCAM, 1, 1, 'quota'))
  })
  it('while offline are told together, and again until they are durable', () => {
    const lost = sendsLost(WEBCAM, 0, 2, 'quota')
    given(opened(WEBCAM), notKept(WEBCAM, 0, 'quota'), notKept(WEBCAM, 1, 'quota'), notKept(WEBCAM, 2, 'quota')).when(connected()).thenDo(sendsOpen(0, WEBCAM), lost)
    given(opened(WEBCAM), notKept(WEBCAM, 0, 'quota'), notKept(WEBCAM, 1, 'quota'), notKept(WEBCAM, 2, 'quota'), connected(), cut())
      .when(connected())
      .thenDo(sendsOpen(0, WEBCAM), lost)
  })
  it('leave the spool only when they are durable, all of a part together since answers name no range', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 2), missing(WEBCAM, 0), missing(WEBCAM, 2))
      .when(durable('lost', WEBCAM), durable('lost', WEBCAM))
      .thenDo(forgets(WEBCAM, 0, 0, 'spool-cleared'), forgets(WEBCAM, 2, 2, 'spool-cleared'))
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 2), missing(WEBCAM, 0), missing(WEBCAM, 2)).when(durable('lost', WEBCAM)).thenNothing()
  })
  it('hold up the end until they are durable', () => {
    const { session } = given(opened(WEBCAM), connected(), notKept(WEBCAM, 0, 'quota'), closed(WEBCAM, 1), finished, durable('open', WEBCAM), durable('close', WEBCAM))
    assert.deepEqual(finishDurable(session), [])
    assert.deepEqual(durable('lost', WEBCAM)(session), [forgets(WEBCAM, 0, 0, 'quota'), { do: 'settled' }])
  })
  it('free the window', () => {
    given(opened(WEBCAM), connected({ windowBytes: 100 }), spooled(WEBCAM, 0, 1))
      .when(missing(WEBCAM, 0))
      .thenDo(...sendsChunks(0, WEBCAM, 1), sendsLost(WEBCAM, 0, 0, 'spool-cleared'))
  })
  it('of what the server finds too large are told without trying', () => {
    given(opened(WEBCAM), spooled(WEBCAM, 0, 0, 2000), spooled(WEBCAM, 1)).when(connected()).thenDo(sendsOpen(0, WEBCAM), ...sendsChunks(0, WEBCAM, 1), sendsLost(WEBCAM, 0, 0, 'too-large'))
  })
})

describe('refusals', () => {
  const refuse = (part: Part, seq?: number) => [refused('REC_DIGEST_MISMATCH', part, seq), cut(4422)]
  it('of a chunk for the first time let it be sent once more', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 1), ...refuse(WEBCAM, 0)).when(connected()).thenDo(sendsOpen(0, WEBCAM), ...sendsChunks(0, WEBCAM, 0, 1))
  })
  it('of a chunk for the second time declare it corrupt, and the rest goes on', () => {
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 1), ...refuse(WEBCAM, 0), connected(), ...refuse(WEBCAM, 0))
      .when(connected())
      .thenDo(sendsOpen(0, WEBCAM), ...sendsChunks(0, WEBCAM, 1), sendsLost(WEBCAM, 0, 0, 'corrupt'))
  })
  it('of the connection are not held against a chunk that they name', () => {
    const exceed = [refused('REC_WINDOW_EXCEEDED', WEBCAM, 0), cut(4429)]
    given(opened(WEBCAM), connected(), spooled(WEBCAM, 0), ...exceed, connected(), ...exceed).when(connected()).thenDo(sendsOpen(0, WEBCAM), ...sendsChunks(0, WEBCAM, 0))
  })
  it('of a part twice give up all of it, now and later, and the others go on', () => {
    const bad = [refused('REC_NOT_A_RECORDING', WEBCAM), cut(4422)]
    const steps = [opened(WEBCAM), opened(SCREEN), spooled(WEBCAM, 0, 1), spooled(SCREEN, 0), connected(), ...bad, connected(), ...bad]
    given(...steps).when(connected()).thenDo(sendsOpen(0, SCREEN), ...sendsChunks(0, SCREEN, 0), sendsLost(WEBCAM, 0, 1, 'corrupt'))
    given(...steps, connected()).when(spooled(WEBCAM, 2)).thenDo(sendsLost(WEBCAM, 2, 2, 'corrupt'))
    const { session } = given(...steps, connected(), closed(WEBCAM, 2), durable('lost', WEBCAM), durable('close', WEBCAM), acked(0, 0), durable('open', SCREEN), closed(SCREEN, 1), durable('close', SCREEN), finished)
    assert.deepEqual(finishDurable(session), [{ do: 'settled' }])
  })
  it('are passed on', () => {
    const message = { type: 'error', code: 'REC_OVERLOADED', message: 'full' } as const
    given(connecting).when(says(message)).thenDo({ do: 'refusal', message })
  })
})

describe('close codes', () => {
  for (const code of [1000, 1006, 1012, 4400, 4401, 4413, 4422, 4429]) {
    it(`${code}: reconnects`, () => given(connected()).when(cut(code)).thenDo(reconnects(code, 1)))
  }
  it('4409: whoever records goes on by another name', () => {
    const session = new UploadSession({ ownsClient: true })
    connected()(session)
    assert.deepEqual(cut(4409)(session), [{ do: 'rename-client' }, reconnects(4409, 1)])
  })
  it('4409: somebody else recovers the same, so this one never connects again', () => {
    given(opened(WEBCAM), connected()).when(cut(4409), spooled(WEBCAM, 0), closed(WEBCAM, 1)).thenDo({ do: 'end', cause: 'taken-over' })
  })
  it('4410: the session is gone', () => {
    given(opened(WEBCAM), connected()).when(cut(4410), spooled(WEBCAM, 0)).thenDo({ do: 'end', cause: 'deleted' })
  })
  it('counts the connections by which nothing became durable', () => {
    given(opened(WEBCAM), connected(), cut(), connected(), cut(), connecting).when(cut()).thenDo(reconnects(1006, 3))
    given(opened(WEBCAM), connected(), cut(), connected(), durable('open', WEBCAM)).when(cut(1012)).thenDo(reconnects(1012, 0))
    given(opened(WEBCAM), connected(), cut(), connected(), spooled(WEBCAM, 0), acked(0, 0)).when(cut()).thenDo(reconnects(1006, 0))
  })
  it('of a socket that is over already say nothing', () => {
    given(connected(), cut()).when(cut()).thenNothing()
  })
})

describe('parts that another page has taken', () => {
  it('are neither sent nor declared lost here, and what still comes of them is ignored', () => {
    const { session } = given(opened(WEBCAM), connected(), spooled(WEBCAM, 0, 1))
    assert.deepEqual(session.dropParts(), [{ do: 'disconnect' }, reconnects(null, 1)])
    for (const step of [spooled(WEBCAM, 2), missing(WEBCAM, 1), notKept(WEBCAM, 3, 'quota'), closed(WEBCAM, 4)]) assert.deepEqual(step(session), [])
    assert.equal(session.has(WEBCAM.part), false)
    assert.deepEqual(connected()(session), [])
    assert.ok(opened(SCREEN)(session).some((action) => action.do === 'send' && action.message.type === 'open'))
  })
})

describe('a clock that was set', () => {
  it('is learned anew by another connection, before anything else is told its time', () => {
    const { session } = given(connected())
    assert.deepEqual(session.clockMoved(), [{ do: 'disconnect' }, reconnects(null, 1)])
    assert.deepEqual(session.openPart({ ...WEBCAM, startedAt: NOW - 3_600_000 + 1000 }), [])
    session.connecting(NOW - 3_600_000)
    const actions = session.message({ type: 'welcome', session: 's', serverTime: new Date(NOW + AHEAD_MS).toISOString(), maxChunkBytes: 1000, windowBytes: 1000, heartbeatMs: 10_000 }, NOW - 3_600_000)
    assert.ok(actions.some((action) => action.do === 'send' && action.message.type === 'open' && action.message.startedAt === new Date(NOW + AHEAD_MS + 1000).toISOString()))
  })
  it('is learned by the next connection anyway where there is none', () => given(connecting).when((session) => session.clockMoved()).thenNothing())
})

describe('progress', () => {
  it('adds up by track', () => {
    const second: Part = { ...WEBCAM, part: '33333333-3333-4333-8333-333333333333' }
    const { session } = given(opened(WEBCAM), connected({ windowBytes: 250 }), spooled(WEBCAM, 0, 2), acked(0, 0), notKept(WEBCAM, 3, 'quota'), opened(second), spooled(second, 0))
    assert.deepEqual(session.progress(), {
      webcam: {
        recorded: { chunks: 5, bytes: 500 },
        sent: { chunks: 3, bytes: 300 },
        acknowledged: { chunks: 1, bytes: 100 },
        waiting: { chunks: 3, bytes: 300 },
        lost: { chunks: 1, bytes: 100 },
      },
    })
  })
  it('counts a chunk that is sent again once', () => {
    const { session } = given(opened(WEBCAM), connected(), spooled(WEBCAM, 0), cut(), connected())
    assert.deepEqual(session.progress()['webcam']?.sent, { chunks: 1, bytes: 100 })
  })
})
