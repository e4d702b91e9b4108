import assert from 'node:assert/strict'
import { CLOSE_CODES, decodeChunksRecord, decodeEvent, encodeChunkRecord, encodeDeclaration, encodeEvent, isRecordFault, ServerMessages, shape } from '@longtake/contracts'
import { fuzz } from '@longtake/testkit'
import fc from 'fast-check'
import type { Shipment } from '../src/connection.ts'
import { bytes, CLIENT, Conversation, frame, HEAD, openMessage, SCREEN, WEBCAM } from './conversation.ts'

const MAX_CHUNK = 1000
const MAX_RECORDS = 40
const WIDEST_WINDOW = 4000
const BUDGET = 6000

type Step =
  | { do: 'text'; text: string }
  | { do: 'binary'; data: Uint8Array }
  | { do: 'settle'; which: number; durable: boolean }
  | { do: 'flush' | 'tick' | 'drain' | 'too-large' }
  | { do: 'resize'; bytes: number }
  | { do: 'wait'; ms: number }

const parts = [WEBCAM, SCREEN, { track: 'webcam', part: SCREEN.part }]
const message = fc.oneof(
  fc.tuple(fc.nat(4), fc.constantFrom(...parts)).map(([handle, part]) => openMessage(handle, part)),
  fc.tuple(fc.constantFrom(...parts), fc.nat(50), fc.boolean()).map(([part, chunks, clean]) => ({ type: 'close', ...part, chunks, clean })),
  fc.tuple(fc.constantFrom(...parts), fc.nat(50), fc.nat(50)).map(([part, from, to]) => ({ type: 'lost', ...part, from, to, cause: 'quota' })),
  fc.constantFrom({ type: 'finish', parts: { webcam: [WEBCAM.part] } }, { type: 'ping', t: 1 }, { type: 'report', event: 'muted', at: '2026-03-01T12:00:00Z' }),
)
const anyValue = fc.oneof(fc.jsonValue(), fc.constantFrom(-1, 0, 255, 256, 2 ** 32 - 2, 2 ** 32 - 1, 1e308, '', 'x'.repeat(5000), '__proto__', null))
/** One member of a message has another value, is gone, or a foreign one is there. */
const nearlyMessage = fc.tuple(message, fc.nat(9), fc.option(anyValue, { nil: undefined }), fc.string()).map(([message, which, value, foreign]) => {
  const keys = [...Object.keys(message), foreign]
  return { ...message, [keys[which % keys.length]!]: value }
})
const text = fc.oneof(
  { weight: 6, arbitrary: message.map((message) => JSON.stringify(message)) },
  { weight: 2, arbitrary: nearlyMessage.map((message) => JSON.stringify(message)) },
  { weight: 1, arbitrary: fc.oneof(fc.string(), fc.json(), fc.constantFrom('{"type":"constructor"}', '[]', 'null', '['.repeat(20_000))) },
)

const soundFrame = fc.tuple(fc.nat(4), fc.nat(12), fc.oneof(fc.integer({ min: 1, max: 900 }), fc.constantFrom(MAX_CHUNK, MAX_CHUNK + 1)), fc.nat(2)).map(([handle, seq, length, value]) => {
  return frame(handle, seq, seq === 0 && length % 9 > 0 ? HEAD : bytes(length, value))
})
const woundedFrame = fc.tuple(soundFrame, fc.nat(60), fc.integer({ min: 1, max: 255 }), fc.nat(3)).map(([frame, at, mask, how]) => {
  if (how === 0) return frame.subarray(0, at)
  const copy = frame.slice()
  copy[at % copy.length]! ^= mask
  return copy
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: text.map((text) => ({ do: 'text' as const, text })) },
  { weight: 12, arbitrary: soundFrame.map((data) => ({ do: 'binary' as const, data })) },
  { weight: 1, arbitrary: fc.oneof(woundedFrame, fc.uint8Array({ maxLength: 200 })).map((data) => ({ do: 'binary' as const, data })) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat(40), durable: fc.integer({ min: 0, max: 30 }).map((roll) => roll > 0) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('flush' as const, 'tick' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('drain' as const, 'too-large' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resize' as const), bytes: fc.integer({ min: 0, max: WIDEST_WINDOW }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1000, 120_000, 4_000_000) }) },
)

const serverShapes = new Map<string, { faults(value: unknown): string[] }>(Object.entries(ServerMessages).map(([type, schema]) => [type, shape(type, schema)]))
const closeCodes = new Set<number>(Object.values(CLOSE_CODES))

fuzz(
  'whatever frames, outcomes, ticks and windows come: valid answers, documented ends, acks of durable chunks alone, and bounded memory',
  1500,
  fc.array(step, { maxLength: 120, size: 'max' }),
  (steps) => {
    let held = 0
    const talk = new Conversation({ maxChunkBytes: MAX_CHUNK, maxInFlightRecords: MAX_RECORDS, windowBytes: WIDEST_WINDOW, fits: (bytes) => held + bytes <= BUDGET })
    const waiting: Shipment[] = []
    const durable = new Set<string>()
    let answered = 0
    let declared = 0
    let isOver = false
    for (const step of steps) {
      const before = talk.sent.length
      play(step)
      for (const shipment of talk.shipped.splice(0)) {
        assert.ok(!isOver, 'nothing goes to Kafka after the end')
        held += shipment.bytes
        waiting.push(shipment)
        assertRecord(shipment)
      }
      assert.equal(talk.connection.inFlight, waiting.length)
      assert.ok(waiting.length <= MAX_RECORDS && held <= BUDGET)
      const chunkBytes = waiting.reduce((sum, { kind, bytes }) => (kind === 'chunk' ? sum + bytes : sum), 0)
      assert.ok(chunkBytes <= Math.max(WIDEST_WINDOW, MAX_CHUNK), `${chunkBytes} bytes of chunks in flight`)
      for (const message of talk.sent.slice(before)) {
        assert.ok(!isOver, `${message.type} after the end`)
        assert.deepEqual(serverShapes.get(message.type)!.faults(message), [])
        if (message.type === 'durable') answered++
        if (message.type !== 'ack') continue
        for (let seq = message.from; seq <= message.to; seq++) assert.ok(durable.delete(`${message.handle}/${seq}`), `${message.handle}/${seq} is acknowledged without need or twice`)
      }
      assert.ok(talk.sent.length - before <= MAX_RECORDS + 2, 'one step has few answers')
      assert.ok(answered <= declared)
      if (talk.closedWith === undefined) continue
      assert.ok(closeCodes.has(talk.closedWith), `closed with ${talk.closedWith}`)
      assert.ok(talk.connection.closed)
      isOver = true
    }

    function play(step: Step): void {
      switch (step.do) {
        case 'text':
          return void talk.says(step.text)
        case 'binary':
          return void talk.sendsBytes(step.data)
        case 'settle': {
          const [shipment] = waiting.splice(step.which % Math.max(1, waiting.length), 1)
          if (shipment === undefined) return
          held -= shipment.bytes
          if (shipment.kind === 'chunk' && step.durable) durable.add(`${shipment.chunk.handle}/${shipment.chunk.seq}`)
          if (shipment.kind === 'declaration') declared++
          return void talk.settles(shipment, step.durable)
        }
        case 'flush':
          return void talk.flushes()
        case 'tick':
          return void talk.take(talk.connection.tick(talk.now))
        case 'drain':
          return void talk.take(talk.connection.drain())
        case 'too-large':
          return void talk.take(talk.connection.receiveTooLarge(5000))
        case 'resize':
          return void talk.take(talk.connection.resizeWindow(step.bytes, talk.now))
        case 'wait':
          talk.now += step.ms
          return
        default:
          step satisfies never
      }
    }
  },
)

/** Whoever reads it from Kafka understands it. */
function assertRecord(shipment: Shipment): void {
  switch (shipment.kind) {
    case 'chunk': {
      const { handle: _, ...chunk } = shipment.chunk
      const record = encodeChunkRecord({ session: 's-1', client: CLIENT, ...chunk })
      return assert.ok(!isRecordFault(decodeChunksRecord(record)))
    }
    case 'declaration':
      return assert.ok(!isRecordFault(decodeChunksRecord(encodeDeclaration(shipment.declaration))))
    case 'report':
      return assert.ok(!isRecordFault(decodeEvent(encodeEvent(shipment.event))))
    default:
      shipment satisfies never
  }
}
