import assert from 'node:assert/strict'
import { fuzz, mutatedJson } from '@longtake/testkit'
import fc from 'fast-check'
import { parseServerMessage } from '../src/upload/server-message.ts'
import type { Action } from '../src/upload/action.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { NOW, SCREEN, WEBCAM } from './conversation.ts'

const PARTS = [WEBCAM, SCREEN]
const WINDOW = 1000

type Step =
  | { do: 'chunk'; part: number; bytes: number; kept: boolean }
  | { do: 'text'; text: string }
  | { do: 'connect' | 'tick' | 'finish' }
  | { do: 'cut'; code: number | null }
  | { do: 'close' | 'missing'; part: number; seq: number }

const seq = fc.oneof(fc.nat(20), fc.constantFrom(0xffff_fffe, 2 ** 53 - 1))
const part = fc.constantFrom(...PARTS.map(({ track, part }) => ({ track, part })), { track: 'webcam', part: SCREEN.part })
/** What a sound server may say, at any time. */
const said = fc.oneof(
  fc.record({ type: fc.constant('welcome'), session: fc.constant('s'), serverTime: fc.constantFrom('2026-03-01T10:00:00Z', '1970-01-01T00:00:00Z'), maxChunkBytes: fc.integer({ min: 1, max: 500 }), windowBytes: fc.integer({ min: 1, max: WINDOW }), heartbeatMs: fc.integer({ min: 1, max: 20_000 }) }),
  fc.record({ type: fc.constant('window'), windowBytes: fc.nat(WINDOW) }),
  fc.tuple(fc.nat(3), seq, seq).map(([handle, from, to]) => ({ type: 'ack', handle, from: Math.min(from, to), to: Math.max(from, to) })),
  fc.tuple(part, seq, seq).map(([part, from, to]) => ({ type: 'resend', ...part, from: Math.min(from, to), to: Math.max(from, to) })),
  fc.tuple(fc.constantFrom('open', 'close', 'lost', 'finish'), part).map(([of, part]) => ({ type: 'durable', of, ...part })),
  fc.tuple(fc.constantFrom('REC_DIGEST_MISMATCH', 'REC_NOT_A_RECORDING', 'REC_TOO_LARGE', 'REC_RESTARTING', 'REC_NEW'), part, fc.option(fc.nat(20), { nil: undefined })).map(([code, part, seq]) => ({ type: 'error', code, message: 'no', ...part, seq })),
  fc.constant({ type: 'pong', t: 1 }),
)
const mutated = said.chain((message) => mutatedJson([message]))
const text = fc.oneof({ weight: 6, arbitrary: said }, { weight: 2, arbitrary: mutated }, { weight: 1, arbitrary: fc.jsonValue() }).map((value) => JSON.stringify(value) ?? '')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('chunk' as const), part: fc.nat(1), bytes: fc.integer({ min: 1, max: 600 }), kept: fc.integer({ min: 0, max: 9 }).map((roll) => roll > 0) }) },
  { weight: 14, arbitrary: text.map((text) => ({ do: 'text' as const, text })) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('connect' as const, 'tick' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('close' as const, 'missing' as const), part: fc.nat(1), seq: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), code: fc.constantFrom(null, 1006, 1012, 4400, 4401, 4409, 4410, 4413, 4422, 4429, 4999) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'finish' as const }) },
)

fuzz('whatever a server says, no chunk is forgotten that was not sent on this connection, nor sent beyond the window', 1500, fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
  const session = new UploadSession()
  const spool = new Map<string, { bytes: number; inFlight: boolean }>()
  const made = new Map(PARTS.map(({ part }) => [part, 0]))
  let windowBytes = WINDOW
  let now = NOW
  const run = (actions: readonly Action[]): void => {
    assert.ok(actions.length < 500, `${actions.length} actions at once`)
    for (const action of actions) {
      if (action.do === 'send-chunk') {
        const chunk = spool.get(`${action.part}/${action.seq}`)
        assert.ok(chunk !== undefined && !chunk.inFlight, 'only what is spooled is sent, once on each connection')
        const held = [...spool.values()].reduce((sum, { bytes, inFlight }) => (inFlight ? sum + bytes : sum), 0)
        assert.ok(held === 0 || held + chunk.bytes <= windowBytes, `${held} and ${chunk.bytes} bytes in flight`)
        chunk.inFlight = true
      }
      if (action.do === 'forget-chunks' && action.outcome === 'acknowledged') {
        for (let seq = action.from; seq <= action.to; seq++) {
          assert.ok(spool.get(`${action.part}/${seq}`)?.inFlight === true, `${seq} was not in flight`)
          spool.delete(`${action.part}/${seq}`)
        }
      }
      if (action.do === 'reconnect' || action.do === 'end') for (const chunk of spool.values()) chunk.inFlight = false
    }
  }
  for (const each of PARTS) run(session.openPart(each))
  for (const step of steps) {
    switch (step.do) {
      case 'chunk': {
        const { part } = PARTS[step.part]!
        const seq = made.get(part)!
        made.set(part, seq + 1)
        const chunk = { seq, bytes: step.bytes, capturedAt: NOW + seq }
        if (step.kept) spool.set(`${part}/${seq}`, { bytes: step.bytes, inFlight: false })
        run(step.kept ? session.chunkSpooled(part, chunk) : session.chunkNotKept(part, chunk, 'quota'))
        break
      }
      case 'text': {
        const message = parseServerMessage(step.text)
        if (message === 'malformed' || message === 'unknown') break
        // Narrower at once, wider at once: what flies already flies.
        if (message.type === 'window' || message.type === 'welcome') windowBytes = Math.max(message.windowBytes, windowBytes)
        run(session.message(message, now))
        // An error is said just before a close.
        if (message.type === 'error') run(session.disconnected(4422))
        break
      }
      case 'connect':
        run(session.disconnected(1006))
        session.connecting(now)
        break
      case 'tick':
        now += 5000
        run(session.tick(now, 0))
        break
      case 'cut':
        run(session.disconnected(step.code))
        break
      case 'close':
        run(session.closePart(PARTS[step.part]!.part, made.get(PARTS[step.part]!.part)!, true))
        break
      case 'missing':
        spool.delete(`${PARTS[step.part]!.part}/${step.seq}`)
        run(session.chunkUnreadable(PARTS[step.part]!.part, step.seq, 'spool-cleared'))
        break
      case 'finish':
        run(session.finish())
        break
      default:
        step satisfies never
    }
    session.progress()
  }
})
