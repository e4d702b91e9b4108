import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RestError } from '@azure/storage-blob'
import type { ErrorCode } from '@longtake/contracts'
import { isHeld, isLeased, isTransient, toBlobError } from '../src/azure-errors.ts'

/** An answer as the SDK throws it. @param code null for a proxy's, which has none */
function answer(statusCode: number, code: string | null): RestError {
  const headers = new Map(code === null ? [] : [['x-ms-error-code', code]])
  return new RestError('refused', { statusCode, ...(code === null ? {} : { code }), response: { status: statusCode, headers } as never })
}

const CASES: readonly [concerns: string, becomes: ErrorCode, answers: readonly [status: number, code: string | null][]][] = [
  ['one blob', 'BLOB_HELD', [
    [409, 'BlobImmutableDueToPolicy'], [409, 'BlobImmutableDueToLegalHold'], [409, 'BlobArchived'], [409, 'BlobBeingRehydrated'],
    [409, 'InvalidBlobType'], [409, 'BlobOperationNotSupported'], [409, 'BlockCountExceedsLimit'], [400, 'BlockListTooLong'],
    [409, 'PendingCopyOperation'], [409, 'SnapshotCountExceeded'], [409, 'OfALaterVersion'], [409, null],
  ]],
  ['the lease of one blob', 'BLOB_HELD', [[412, 'LeaseIdMissing'], [409, 'LeaseAlreadyPresent'], [412, 'LeaseIdMismatchWithBlobOperation'], [412, 'LeaseLost']]],
  ['the snapshots of one blob', 'BLOB_HAS_SNAPSHOTS', [[409, 'SnapshotsPresent']]],
  ['what was sent', 'BLOB_CONTENT_REFUSED', [[413, 'RequestBodyTooLarge'], [413, null], [400, 'MetadataTooLarge'], [431, null]]],
  ['nobody for long', 'BLOB_UNAVAILABLE', [[503, 'ServerBusy'], [500, 'OperationTimedOut'], [400, 'Md5Mismatch'], [409, 'SnapshotOperationRateExceeded'], [409, 'AccountBeingCreated'], [429, null], [502, null]]],
  ['the account', 'BLOB_FORBIDDEN', [[403, 'AccountIsDisabled'], [403, 'AuthorizationFailure'], [403, 'AuthenticationFailed'], [403, 'InsufficientAccountPermissions'], [401, null], [403, 'OfALaterVersion']]],
  ['the container', 'BLOB_CONTAINER_MISSING', [[404, 'ContainerNotFound'], [409, 'ContainerBeingDeleted']]],
  ['every call', 'BLOB_REFUSED', [[400, 'InvalidHeaderValue'], [400, 'InvalidBlobOrBlock'], [400, 'OutOfRangeInput'], [409, 'ContainerDisabled'], [409, 'FeatureVersionMismatch'], [400, null]]],
]

for (const [concerns, becomes, answers] of CASES) {
  test(`answers that concern ${concerns} become ${becomes}`, () => {
    for (const [status, code] of answers) assert.equal(toBlobError(answer(status, code), 'put', 'b').code, becomes, `${status} ${code}`)
  })
}

test('a refusal of one blob is not retried, and a lease is told from what lasts', () => {
  assert.deepEqual([answer(409, 'BlobArchived'), answer(412, 'LeaseIdMissing'), answer(503, 'ServerBusy')].map((error) => [isHeld(error), isLeased(error), isTransient(error)]), [
    [true, false, false],
    [true, true, false],
    [false, false, true],
  ])
})

test('a connection that broke concerns nobody for long, and our own faults are no answers', () => {
  assert.equal(toBlobError(new RestError('reset', { code: 'ECONNRESET' }), 'put', 'b').code, 'BLOB_UNAVAILABLE')
  assert.equal(toBlobError(new TypeError('a bug'), 'put', 'b').code, 'BLOB_REFUSED')
})
