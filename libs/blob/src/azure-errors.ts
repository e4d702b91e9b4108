import { RestError } from '@azure/storage-blob'
import { type ErrorCode, LongtakeError } from '@longtake/contracts'
import { type Concern, concernOf } from './azure-error-codes.ts'

/** One try took longer than it may. */
export class TryTimeout extends Error {
  override name = 'TryTimeout'
}

/** Whether another try may help, and, for a change, whether it may have happened although it failed. */
export function isTransient(error: unknown): boolean {
  if (error instanceof TryTimeout) return true
  return error instanceof RestError && (error.code === 'PARSE_ERROR' || concern(error) === 'passing')
}

/** Azure's own error code, as `ConditionNotMet`; answers to HEAD have it in a header only. */
export function azureCode(error: unknown): string | undefined {
  if (!(error instanceof RestError)) return undefined
  return error.response?.headers.get('x-ms-error-code') ?? error.code
}

export function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined
}

/** Somebody holds a lease on the blob; some of these come as 412, like a condition that does not hold. */
export const isLeased = (error: unknown): boolean => concern(error) === 'lease'

/** The blob itself refuses the operation: hold or immutability policy, archive tier, type, lease. */
export const isHeld = (error: unknown): boolean => concern(error) === 'blob' || isLeased(error)

/** Undefined for what is no answer of the storage. */
const concern = (error: unknown): Concern | undefined => (error instanceof RestError ? concernOf(error.statusCode, azureCode(error)) : undefined)

/** Anything thrown by the SDK as one of our errors. The SDK's own carries whole requests: only its essence is kept. */
export function toBlobError(error: unknown, operation: string, blob: string): LongtakeError {
  if (error instanceof LongtakeError) return error
  const code = azureCode(error)
  const requestId = error instanceof RestError ? error.response?.headers.get('x-ms-request-id') : undefined
  const facts = [statusOf(error), code, requestId && `request ${requestId}`].filter(Boolean).join(', ')
  const said = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  const cause = new Error(said)
  if (error instanceof Error) {
    cause.name = error.name
    if (error.stack !== undefined) cause.stack = error.stack
  }
  return new LongtakeError(codeOf(error), `${operation} of ${blob || 'the container'} failed: ${said}${facts && ` (${facts})`}`, { cause })
}

function codeOf(error: unknown): ErrorCode {
  const code = azureCode(error)
  if (code === 'ContainerBeingDeleted') return 'BLOB_CONTAINER_MISSING'
  if (isTransient(error)) return 'BLOB_UNAVAILABLE'
  const status = statusOf(error)
  if ((status === 401 || status === 403) && concern(error) === 'account') return 'BLOB_FORBIDDEN'
  // What @azure/identity throws when there is nothing to sign in with.
  if (error instanceof Error && /Credential|Authentication/.test(error.name)) return 'BLOB_FORBIDDEN'
  if (code === 'ContainerNotFound') return 'BLOB_CONTAINER_MISSING'
  if (code === 'SnapshotsPresent') return 'BLOB_HAS_SNAPSHOTS'
  if (concern(error) === 'content') return 'BLOB_CONTENT_REFUSED'
  return isHeld(error) ? 'BLOB_HELD' : 'BLOB_REFUSED'
}
