import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LostRange } from '../src/spool/lost-ranges.ts'
import { withLoss } from '../src/spool/lost-ranges.ts'
import { restorePart } from '../src/recovery/recovery-plan.ts'
import type { ChunkRecord, PartRecord } from '../src/spool/spool-database.ts'

const OF = { session: 's', client: 'c', part: 'p' }
const record = (changes: Partial<PartRecord>): PartRecord => ({ ...OF, track: 'webcam', mimeType: 'video/webm', startedAt: 7, opened: null, acknowledged: [], lost: [], closed: null, ...changes })
const chunks = (...seqs: number[]): ChunkRecord[] => seqs.map((seq) => ({ ...OF, seq, bytes: 10, capturedAt: seq }))
const lost = (from: number, to: number, cause: LostRange['cause'], declared = false): LostRange => ({ from, to, cause, declared })

function plan(part: Partial<PartRecord>, ...here: number[]) {
  const restored = restorePart(record(part), chunks(...here))
  return { sent: restored.chunks.map(({ seq }) => seq), lost: restored.lost, closed: restored.closed }
}

test('a part that died is closed at what is known of it, with an unproven tail', () => {
  assert.deepEqual(plan({ acknowledged: [[0, 2]] }, 3, 4), { sent: [3, 4], lost: [], closed: { chunks: 5, clean: false } })
  assert.deepEqual(plan({ acknowledged: [[0, 2]] }), { sent: [], lost: [], closed: { chunks: 3, clean: false } })
  assert.deepEqual(plan({}), { sent: [], lost: [], closed: { chunks: 0, clean: false } })
})

test('a part that was closed stays as it was closed', () => {
  assert.deepEqual(plan({ closed: { chunks: 2, clean: true } }, 0, 1), { sent: [0, 1], lost: [], closed: { chunks: 2, clean: true } })
})

test('what is neither here nor acknowledged nor known to be lost was taken from the store', () => {
  assert.deepEqual(plan({ acknowledged: [[0, 0], [7, 7]], lost: [lost(2, 2, 'quota')] }, 4, 6).lost, [lost(1, 1, 'spool-cleared'), lost(2, 2, 'quota'), lost(3, 3, 'spool-cleared'), lost(5, 5, 'spool-cleared')])
  assert.deepEqual(plan({ closed: { chunks: 5, clean: true } }, 0, 1).lost, [lost(2, 4, 'spool-cleared')])
})

test('a loss at the end counts for the length, and keeps its cause and whether the server knows it', () => {
  assert.deepEqual(plan({ acknowledged: [[0, 0]], lost: [lost(1, 3, 'quota'), lost(4, 4, 'corrupt', true)] }), { sent: [], lost: [lost(1, 3, 'quota'), lost(4, 4, 'corrupt', true)], closed: { chunks: 5, clean: false } })
})

test('data outweighs what was noted of it, and an ack both', () => {
  assert.deepEqual(plan({ acknowledged: [[0, 1]], lost: [lost(1, 4, 'quota')] }, 0, 3), { sent: [3], lost: [lost(2, 2, 'quota'), lost(4, 4, 'quota')], closed: { chunks: 5, clean: false } })
})

test('losses come in any order, join, and are replaced by what is said later of the same chunks', () => {
  const quota = [5, 3, 4].reduce<LostRange[]>((ranges, seq) => withLoss(ranges, lost(seq, seq, 'quota')), [])
  assert.deepEqual(quota, [lost(3, 5, 'quota')])
  assert.deepEqual(withLoss(quota, lost(4, 4, 'quota', true)), [lost(3, 3, 'quota'), lost(4, 4, 'quota', true), lost(5, 5, 'quota')])
  assert.deepEqual(withLoss(withLoss(quota, lost(4, 9, 'quota', true)), lost(0, 3, 'quota', true)), [lost(0, 9, 'quota', true)])
})
