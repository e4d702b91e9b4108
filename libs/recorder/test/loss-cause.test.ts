import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lossCauseOf } from '../src/spool/loss-cause.ts'

for (const [name, message] of [
  ['QuotaExceededError', ''],
  ['QuotaExceededError', 'Encountered full disk while opening backing store for indexedDB.open.'],
  ['UnknownError', 'Internal error committing transaction: ChromeMethodBFE: 3::WritableFileAppend::8 FILE_ERROR_NO_SPACE'],
  ['UnknownError', 'IO error: 000003.log: FILE_ERROR_NO_SPACE (ChromeMethodBFE: 3)'],
  ['DataError', 'Failed to write blobs: no space'],
  ['UnknownError', 'Internal error: out of disk space'],
  ['UnknownError', 'Internal error: no device space'],
  ['UnknownError', 'NS_ERROR_FILE_NO_DEVICE_SPACE'],
  ['UnknownError', 'NS_ERROR_DOM_INDEXEDDB_QUOTA_ERR'],
  ['UnknownError', 'database or disk is full'],
  ['UnknownError', 'The disk is full.'],
  ['AbortError', 'No space left on device'],
  ['UnknownError', 'ENOSPC'],
  ['UnknownError', 'There is not enough space on the disk'],
  ['UnknownError', 'insufficient storage space'],
] as const) {
  test(`a full disk is a matter of space: ${name} ${message}`, () => assert.equal(lossCauseOf(new DOMException(message, name)), 'quota'))
}

for (const error of [
  new DOMException('Internal error committing transaction.', 'UnknownError'),
  new DOMException('Internal error opening backing store for indexedDB.open.', 'UnknownError'),
  new DOMException('Connection to Indexed Database server lost. Refresh the page to try again', 'UnknownError'),
  new DOMException('The operation failed for reasons unrelated to the database itself and not covered by any other error code.', 'UnknownError'),
  new DOMException('The database connection is closing.', 'InvalidStateError'),
  new DOMException('The transaction was aborted, so the request cannot be fulfilled.', 'AbortError'),
  new Error('the store does not answer'),
  'no space',
  undefined,
]) {
  test(`what names no lack of space is a fault of the store: ${String(error)}`, () => assert.equal(lossCauseOf(error), 'store-failed'))
}
