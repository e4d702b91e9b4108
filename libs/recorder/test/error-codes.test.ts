import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RECORDER_ERROR_CODES, RecorderError, type RecorderErrorCode } from '../src/api.ts'

test('an error is retryable where the list of codes says so', () => {
  for (const [code, { retryable }] of Object.entries(RECORDER_ERROR_CODES)) assert.equal(new RecorderError(code as RecorderErrorCode, '').retryable, retryable, code)
})
