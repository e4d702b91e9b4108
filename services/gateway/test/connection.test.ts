import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytes, CLIENT, Conversation, frame, HEAD, NOW, openMessage, SCREEN, sha256, WEBCAM } from './conversation.ts'

test('a welcome says who, when and how much', () => {
  const talk = new Conversation()
  talk.take(talk.connection.welcome(NOW))
  assert.deepEqual(talk.sent, [{ type: 'welcome', session: 's-1', serverTime: '2026-03-01T12:00:00.000Z', maxChunkBytes: 1000, windowBytes: 4000, heartbeatMs: 10_000 }])
})

test('declarations go to Kafka and are answered only once they are durable', () => {
  const at = '2026-03-01T12:00:00.000Z'
  const cases = [
    [openMessage(0, WEBCAM), { type: 'part-opened', session: 's-1', ...WEBCAM, client: CLIENT, mimeType: 'video/webm;codecs=vp9,opus', startedAt: '2026-03-01T11:59:59.5Z', at }, { of: 'open', ...WEBCAM }],
    [{ type: 'close', ...WEBCAM, chunks: 3, clean: false }, { type: 'part-closed', session: 's-1', ...WEBCAM, chunks: 3, clean: false, at }, { of: 'close', ...WEBCAM }],
    [{ type: 'lost', ...WEBCAM, from: 1, to: 2, cause: 'quota' }, { type: 'chunks-lost', session: 's-1', ...WEBCAM, from: 1, to: 2, cause: 'quota', at }, { of: 'lost', ...WEBCAM }],
    [{ type: 'finish', parts: { webcam: [WEBCAM.part] } }, { type: 'session-finished', session: 's-1', parts: { webcam: [WEBCAM.part] }, at }, { of: 'finish' }],
    [{ type: 'finish', parts: {}, scope: 'session' }, { type: 'session-finished', session: 's-1', parts: {}, scope: 'session', at }, { of: 'finish' }],
  ] as const
  for (const [said, declared, answered] of cases) {
    const talk = new Conversation().says(said).flushes()
    assert.deepEqual(talk.shipped.map((shipment) => shipment.kind === 'declaration' && shipment.declaration), [declared])
    assert.deepEqual(talk.sent, [])
    assert.deepEqual(talk.settlesAll().sent, [{ type: 'durable', ...answered }])
  }
})

test('a report becomes an event and needs no answer', () => {
  const talk = new Conversation().says({ type: 'report', event: 'muted', track: 'webcam', at: '2026-03-01T11:59:00Z' })
  const event = talk.shipped[0]?.kind === 'report' ? talk.shipped[0].event : undefined
  assert.deepEqual(event?.report, { event: 'muted', track: 'webcam', detail: null })
  assert.equal(event?.reportedAt, '2026-03-01T11:59:00Z')
  assert.deepEqual(talk.settlesAll().flushes().sent, [])
})

test('a report with an id is answered once it is durable', () => {
  const id = '00000000-0000-4000-8000-000000000001'
  const talk = new Conversation().says({ type: 'report', id, event: 'muted', at: '2026-03-01T11:59:00Z' })
  const event = talk.shipped[0]?.kind === 'report' ? talk.shipped[0].event : undefined
  assert.deepEqual(event?.report, { event: 'muted', track: null, detail: null, id })
  assert.deepEqual(talk.sent, [])
  assert.deepEqual(talk.settlesAll().sent, [{ type: 'durable', of: 'report', id }])
})

test('chunks go to Kafka whole, and are acknowledged by exact ranges once they are durable', () => {
  const talk = Conversation.withOpen([WEBCAM, SCREEN])
  for (const seq of [0, 1, 2, 3, 5]) talk.sends(0, seq)
  talk.sends(1, 9)
  const [chunk] = talk.shipped
  assert.ok(chunk?.kind === 'chunk')
  assert.deepEqual(chunk.chunk, { handle: 0, ...WEBCAM, seq: 0, sha256: sha256(HEAD), capturedAt: NOW, payload: HEAD })
  assert.deepEqual(talk.flushes().sent, [])
  const [, one, two, three, five, screen] = talk.shipped
  for (const shipment of [five, two, screen, one]) talk.settles(shipment)
  talk.flushes()
  assert.deepEqual(talk.sent, [
    { type: 'ack', handle: 0, from: 1, to: 2 },
    { type: 'ack', handle: 0, from: 5, to: 5 },
    { type: 'ack', handle: 1, from: 9, to: 9 },
  ])
  talk.settles(three).flushes()
  assert.deepEqual(talk.sent.slice(3), [{ type: 'ack', handle: 0, from: 3, to: 3 }])
})

test('whatever settles in whatever order, exactly the durable chunks are acknowledged, each once', () => {
  const chunks = fc.uniqueArray(fc.record({ handle: fc.constantFrom(0, 1), seq: fc.integer({ min: 1, max: 40 }) }), { maxLength: 60, selector: ({ handle, seq }) => `${handle}/${seq}` })
  fc.assert(
    fc.property(chunks, fc.infiniteStream(fc.nat()), fc.infiniteStream(fc.boolean()), (sent, picks, flushes) => {
      const talk = Conversation.withOpen([WEBCAM, SCREEN])
      for (const { handle, seq } of sent) talk.sends(handle, seq)
      const durable: Record<number, number[]> = { 0: [], 1: [] }
      const settled = Math.floor(sent.length / 2)
      for (let i = 0; i < settled; i += 1) {
        const [shipment] = talk.shipped.splice(picks.next().value % talk.shipped.length, 1)
        assert.ok(shipment?.kind === 'chunk')
        durable[shipment.chunk.handle]?.push(shipment.chunk.seq)
        talk.settles(shipment)
        if (flushes.next().value) talk.flushes()
      }
      talk.flushes()
      for (const handle of [0, 1]) assert.deepEqual(talk.acknowledged(handle).toSorted((a, b) => a - b), durable[handle]?.toSorted((a, b) => a - b))
    }),
  )
})

test('a chunk that is sent again while it is under way is shipped once and acknowledged once', () => {
  const talk = Conversation.withOpen().sends(0, 0).sends(0, 0)
  assert.equal(talk.shipped.length, 1)
  assert.deepEqual(talk.settlesAll().flushes().sent, [{ type: 'ack', handle: 0, from: 0, to: 0 }])
  assert.equal(talk.sends(0, 0).shipped.length, 1, 'once it has settled it is shipped again')
})

test('the same identity with other bytes is shipped, too: it is not for the gateway to choose', () => {
  const talk = Conversation.withOpen().sends(0, 1, bytes(10, 1)).sends(0, 1, bytes(10, 2))
  assert.equal(talk.shipped.length, 2)
  assert.deepEqual(talk.settlesAll().flushes().acknowledged(0), [1])
})

test('every fault of a client is answered with its error, where it lies, and its close code', () => {
  const lied = sha256(bytes(3))
  const cases: [string, number, (talk: Conversation) => Conversation, object?][] = [
    ['REC_MALFORMED', 4400, (talk) => talk.says('{')],
    ['REC_MALFORMED', 4400, (talk) => talk.says('[]')],
    ['REC_MALFORMED', 4400, (talk) => talk.says({ type: 'close', ...WEBCAM, chunks: -1, clean: true })],
    ['REC_MALFORMED', 4400, (talk) => talk.says({ type: 'lost', ...WEBCAM, from: 2, to: 1, cause: 'quota' }), WEBCAM],
    ['REC_MALFORMED', 4400, (talk) => talk.sendsBytes(bytes(47))],
    ['REC_MALFORMED', 4400, (talk) => talk.sendsBytes(bytes(60))],
    ['REC_MALFORMED', 4400, (talk) => talk.sendsBytes(frame(0, 1, bytes(0)))],
    ['REC_UNKNOWN_HANDLE', 4400, (talk) => talk.sends(1, 3), { seq: 3 }],
    ['REC_HANDLE_TAKEN', 4400, (talk) => talk.says(openMessage(0, SCREEN)), SCREEN],
    ['REC_TOO_LARGE', 4413, (talk) => talk.sends(0, 3, bytes(1001)), { ...WEBCAM, seq: 3 }],
    ['REC_TOO_LARGE', 4413, (talk) => talk.take(talk.connection.receiveTooLarge(5000))],
    ['REC_NOT_A_RECORDING', 4422, (talk) => talk.says(openMessage(1, SCREEN, 'image/png')), SCREEN],
    ['REC_NOT_A_RECORDING', 4422, (talk) => talk.sends(0, 0, bytes(10)), { ...WEBCAM, seq: 0 }],
    ['REC_DIGEST_MISMATCH', 4422, (talk) => talk.sends(0, 4, bytes(10), lied), { ...WEBCAM, seq: 4 }],
    ['REC_WINDOW_EXCEEDED', 4429, (talk) => [1, 2, 3, 4, 5].reduce((to, seq) => to.sends(0, seq, bytes(1000)), talk), { ...WEBCAM, seq: 5 }],
    ['REC_EXPIRED', 4401, (talk) => talk.take(talk.connection.tick(NOW + 3_600_000))],
    ['REC_OVERLOADED', 4429, (talk) => talk.sends(0, 1).settles(talk.shipped[0], false)],
  ]
  for (const [code, close, fault, place = {}] of cases) {
    const talk = fault(Conversation.withOpen())
    const error = talk.sent.at(-1)
    assert.ok(error?.type === 'error', code)
    const { type: _, message, ...rest } = error
    assert.deepEqual(rest, { code, ...place })
    assert.notEqual(message, '')
    assert.equal(talk.closedWith, close)
    const before = talk.sent.length
    talk.says({ type: 'ping', t: 1 }).sends(0, 7).settlesAll().flushes()
    assert.equal(talk.sent.length, before, `after ${code} nothing more is said`)
  }
})

test('chunk 0 may be any prefix of a recording, also one byte', () => {
  for (const start of [[0x1a], [0], [0, 0, 0, 0x1c, 0x66, 0x74, 0x79, 0x70, 0x69]]) {
    assert.equal(Conversation.withOpen().sends(0, 0, Uint8Array.from(start)).shipped.length, 1)
  }
})

test('what is durable is still acknowledged before an end', () => {
  const talk = Conversation.withOpen().sends(0, 1).sends(0, 2)
  talk.settles(talk.shipped[0]).sendsBytes(bytes(1))
  assert.deepEqual(talk.sent.map(({ type }) => type), ['ack', 'error'])
  assert.deepEqual(talk.acknowledged(0), [1])
  assert.deepEqual(talk.settles(talk.shipped[1]).flushes().acknowledged(0), [1], 'what settles later belongs to no connection')
})

test('messages of unknown types are tolerated and counted', () => {
  const talk = new Conversation().says({ type: 'hologram', size: 3 }).says({ type: 'ping', t: 4.5 })
  assert.equal(talk.unknown, 1)
  assert.deepEqual(talk.sent, [{ type: 'pong', t: 4.5 }])
})

test('opening the same part again on its handle is normal', () => {
  const talk = Conversation.withOpen().says(openMessage(0, WEBCAM))
  assert.deepEqual(talk.settlesAll().sent, [{ type: 'durable', of: 'open', ...WEBCAM }])
  assert.ok(talk.connection.hasOpened(WEBCAM.part))
  assert.ok(!talk.connection.hasOpened(SCREEN.part))
})

test('a window that narrows is said, and what was on its way may still arrive, for a time', () => {
  const talk = Conversation.withOpen()
  talk.sends(0, 1, bytes(1000)).take(talk.connection.resizeWindow(500, talk.now))
  assert.deepEqual(talk.sent, [{ type: 'window', windowBytes: 500 }])
  talk.sends(0, 2, bytes(1000)).sends(0, 3, bytes(1000)).sends(0, 4, bytes(1000))
  assert.equal(talk.closedWith, undefined)
  talk.now += 60_000
  assert.equal(talk.sends(0, 5, bytes(1)).error, 'REC_WINDOW_EXCEEDED')
})

test('the number of chunks and declarations at once is bounded, too', () => {
  const talk = Conversation.withOpen([WEBCAM], { maxInFlightRecords: 3 })
  talk.sends(0, 1).sends(0, 2).says({ type: 'close', ...WEBCAM, chunks: 3, clean: true })
  assert.equal(talk.closedWith, undefined)
  assert.equal(talk.sends(0, 3).error, 'REC_WINDOW_EXCEEDED')
})

test('without memory for it nothing is taken in, but a ping is still answered', () => {
  const talk = new Conversation({ fits: () => false }).says({ type: 'ping', t: 1 })
  assert.deepEqual(talk.sent, [{ type: 'pong', t: 1 }])
  assert.equal(talk.says(openMessage(0, WEBCAM)).error, 'REC_OVERLOADED')
  assert.deepEqual([talk.closedWith, talk.shipped], [4429, []])
})

test('a draining connection takes nothing new, acks what is in flight, and then closes with 1012', () => {
  const talk = Conversation.withOpen().sends(0, 1).sends(0, 2)
  talk.take(talk.connection.drain()).sends(0, 3).says({ type: 'ping', t: 1 })
  assert.equal(talk.shipped.length, 2)
  talk.settles(talk.shipped[1]).flushes()
  assert.equal(talk.closedWith, undefined)
  talk.settles(talk.shipped[0]).flushes()
  assert.deepEqual(talk.acknowledged(0), [2, 1])
  assert.equal(talk.error, 'REC_RESTARTING')
  assert.equal(talk.closedWith, 1012)
})

test('an idle connection drains at once', () => {
  const talk = Conversation.withOpen()
  assert.equal(talk.take(talk.connection.drain()).closedWith, 1012)
})

test('a request for chunks is passed on as it is', () => {
  const talk = Conversation.withOpen()
  talk.take(talk.connection.askAgain({ ...WEBCAM, from: 3, to: 4 }))
  assert.deepEqual(talk.sent, [{ type: 'resend', ...WEBCAM, from: 3, to: 4 }])
})

test('no frame crashes the rules: each is answered, tolerated, or ends the connection with a documented code', () => {
  const documented = new Set([4400, 4413, 4422, 4429])
  const jsonish = fc.oneof(fc.string(), fc.json(), fc.record({ type: fc.constantFrom('open', 'close', 'lost', 'report', 'finish', 'ping', 'x') }, { noNullPrototype: true }).chain((base) => fc.dictionary(fc.constantFrom('handle', 'track', 'part', 'from', 'to', 'parts', 'chunks', 'at', 't', '__proto__'), fc.jsonValue()).map((more) => JSON.stringify({ ...more, ...base }))))
  const binary = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 48, maxLength: 120 }).map((data) => Uint8Array.of(1, 0, 0, 0, ...data.subarray(4))))
  fc.assert(
    fc.property(fc.array(fc.oneof(jsonish, binary), { maxLength: 8 }), (frames) => {
      const talk = Conversation.withOpen()
      for (const data of frames) if (typeof data === 'string') talk.says(data); else talk.sendsBytes(data)
      talk.settlesAll().flushes()
      if (talk.closedWith !== undefined) assert.ok(documented.has(talk.closedWith) && talk.error !== undefined)
    }),
  )
})

test('a padded ping, as clients measure their line with, is answered alone: it takes nothing of the window and is kept nowhere', () => {
  const talk = Conversation.withOpen([WEBCAM], { windowBytes: 20, maxInFlightRecords: 2 }).sends(0, 0)
  for (let t = 0; t < 50; t += 1) talk.says({ type: 'ping', t, padding: 'x'.repeat(900) })
  talk.flushes()
  assert.deepEqual(talk.sent, Array.from({ length: 50 }, (_, t) => ({ type: 'pong', t })))
  assert.equal(talk.shipped.length, 1)
  assert.equal(talk.connection.inFlight, 1)
})
