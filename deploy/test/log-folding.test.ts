import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogFolding } from '../local/log-folding.ts'

const line = (fields: object): string => JSON.stringify({ level: 'warn', time: '2026-03-01T10:00:00Z', ...fields })

test('an outage of 10,000 sessions is shown once, then as one count every ten seconds, until it is over', () => {
  const folding = new LogFolding()
  let shown = 0
  for (let n = 0; n < 10_000; n += 1) {
    const text = line({ message: `commit ${n} failed, retrying`, session: `s-${n}`, time: n, error: { code: 'BLOB_UNAVAILABLE', message: `try ${n}`, stack: `Error\n at ${n}` } })
    if (folding.add('block-writer', text, n)) shown += 1
  }
  assert.equal(shown, 1)
  assert.deepEqual(folding.takeEnded(9999), [])
  const [repetition, ...others] = folding.takeEnded(10_000)
  assert.deepEqual([repetition?.service, repetition?.count, repetition?.windowMs, others], ['block-writer', 9999, 10_000, []])
  assert.match(repetition?.text ?? '', /"session":"s-9999"/)
  assert.deepEqual(folding.takeEnded(20_000), [])
  assert.ok(folding.add('block-writer', line({ message: 'commit 1 failed, retrying', error: { code: 'BLOB_UNAVAILABLE' } }), 20_001), 'after a quiet window it is news again')
})

test('another error, another service, another level are lines of their own', () => {
  const folding = new LogFolding()
  const lines = [
    ['gateway', line({ message: 'failed', error: { code: 'A' } })],
    ['gateway', line({ message: 'failed', error: { code: 'B' } })],
    ['gateway', line({ message: 'failed', level: 'error', error: { code: 'A' } })],
    ['query', line({ message: 'failed', error: { code: 'A' } })],
  ] as const
  assert.deepEqual(lines.map(([service, text]) => folding.add(service, text, 0)), [true, true, true, true])
  assert.deepEqual(lines.map(([service, text]) => folding.add(service, text, 1)), [false, false, false, false])
})

test('what sessions do is shown for each of them; only what is the same but for its time is folded', () => {
  const folding = new LogFolding()
  const finalized = (session: string, time: string): string => line({ level: 'info', message: 'session finalized', session, time })
  assert.deepEqual(
    [finalized('a1', '10:00'), finalized('a2', '10:00'), finalized('a1', '10:01')].map((text) => folding.add('finalizer', text, 0)),
    [true, true, false],
  )
})

test('lines that are no JSON are folded by their text, and memory is bounded', () => {
  const folding = new LogFolding()
  assert.equal(folding.add('gateway', '    at file.ts:10:3', 0), true)
  assert.equal(folding.add('gateway', '    at file.ts:10:4', 1), false)
  const word = (n: number): string => String(n).replaceAll(/\d/g, (digit) => 'abcdefghij'.charAt(Number(digit)))
  for (let n = 0; n < 600; n += 1) folding.add('gateway', word(n), 2)
  assert.equal(folding.add('gateway', '    at file.ts:10:3', 3), true, 'the oldest was forgotten')
  assert.equal(folding.add('gateway', word(599), 3), false)
})
