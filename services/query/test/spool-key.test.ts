import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@longtake/service'
import { spoolKeyOf } from '../src/spool-key.ts'

const [secret, other] = [new Secret('a'.repeat(32)), new Secret('b'.repeat(32))]

test("a session's spool key stays the same for weeks, over all versions: what waits in browsers needs it", () => {
  assert.equal(spoolKeyOf(secret, 's1'), 'nLnIuILzz9p50UszFLn7l9NKvIW_bsdYMCVrguxFUIg')
})

test('each session and each secret has keys of its own', () => {
  assert.equal(new Set([spoolKeyOf(secret, 's1'), spoolKeyOf(secret, 's2'), spoolKeyOf(other, 's1')]).size, 3)
})
