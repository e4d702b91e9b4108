import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FILE_FAULT_CAUSES, LOST_CAUSES } from '@longtake/contracts'
import { causeWords, uncertainWords, unrecordedWords } from '../pages/missing-words.ts'

test('causes are told in words, and one that is not known as it came', () => {
  assert.equal(causeWords('page-closed'), 'the page was closed or reloaded')
  assert.equal(causeWords('decoder-errors'), 'what was recorded there cannot be decoded')
  assert.equal(causeWords('struck-by-lightning'), 'struck-by-lightning')
  // An answer to a resend, which never becomes the cause of a confirmed gap.
  for (const cause of LOST_CAUSES.filter((one) => one !== 'already-acknowledged')) assert.match(causeWords(cause), / /)
  for (const cause of [...FILE_FAULT_CAUSES, 'media-missing', 'sound-missing', 'stalled']) assert.match(causeWords(cause), / /)
})

test('of time within a part it is said how much of it was not recorded, and when that was', () => {
  const time = { missingMs: 39_400, startedAt: '2026-03-01T10:00:13.000Z', endedAt: '2026-03-01T10:00:53.000Z' }
  assert.match(unrecordedWords({ ...time, evidence: 'clock' }), /^nothing was recorded for 39 s between .*00:13.* and .*00:53/)
  assert.match(unrecordedWords({ ...time, evidence: 'sound' }), /^no sound was recorded for 39 s/)
})

test('a part that was not closed cleanly may lack its end, which is said where no gap behind it says so', () => {
  const part = { closed: true, clean: true, gaps: [] }
  const crashed = { ...part, clean: false }
  const later = { ...part, gaps: [{ from: 0, to: 0, startMs: 1000, endMs: 5000, kind: 'not-recorded' as const, state: 'confirmed' as const, cause: 'crash' }] }
  const end = 'The end may be missing: the recorder went away without closing the recording'
  assert.deepEqual(uncertainWords([part, crashed], true), [end])
  assert.deepEqual(uncertainWords([{ ...crashed, closed: false }], false), [end])
  assert.deepEqual(uncertainWords([{ ...crashed, closed: false }], true), [], 'it is still recorded')
  assert.deepEqual(uncertainWords([crashed, part], false), ['A moment may be missing where the recorder began anew'])
  assert.deepEqual(uncertainWords([crashed, later], false), [])
  const within = { ...later, gaps: [{ ...later.gaps[0]!, unrecorded: { evidence: 'clock' as const, missingMs: 6_000, startedAt: '2026-03-01T10:00:13Z', endedAt: '2026-03-01T10:00:20Z' } }] }
  assert.equal(uncertainWords([crashed, within], false).length, 1, 'a gap within the next part does not say it')
  assert.deepEqual(uncertainWords([], false), [])
})
