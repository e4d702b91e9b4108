import { LongtakeError } from '@longtake/contracts'
import type { Metadata } from './store.ts'

/** Azure's limit. */
export const MAX_BLOCKS = 50_000
const MAX_METADATA_BYTES = 8 * 1024

// What Azure refuses and its emulator lets pass, or the other way round, is refused here, alike for every store.

export function checkBlock(blockId: string, bytes: Uint8Array): void {
  if (bytes.byteLength === 0) throw new LongtakeError('BLOB_REFUSED', 'a block has at least one byte')
  const raw = Buffer.from(blockId, 'base64')
  if (raw.length === 0 || raw.length > 64 || raw.toString('base64') !== blockId) {
    throw new LongtakeError('BLOB_REFUSED', 'a block id is the base64 of 1 to 64 bytes')
  }
}

export function checkBlockList(blockIds: readonly string[]): void {
  if (blockIds.length > MAX_BLOCKS) throw new LongtakeError('BLOB_REFUSED', `a blob has at most ${MAX_BLOCKS} blocks, not ${blockIds.length}`)
}

/** It stands in a header, and must come back as it went. */
export function checkContentType(contentType: string): void {
  if (!VALUE.test(contentType)) throw new LongtakeError('BLOB_REFUSED', `the content type ${JSON.stringify(contentType)} is not printable ASCII without blanks around it`)
}

const VALUE = /^[!-~]([ -~]*[!-~])?$/

export function checkMetadata(metadata: Metadata): void {
  let bytes = 0
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new LongtakeError('BLOB_REFUSED', `metadata name "${name}" is not of the form [a-z][a-z0-9_]*`)
    if (!VALUE.test(value)) {
      throw new LongtakeError('BLOB_REFUSED', `metadata "${name}" must be printable ASCII, not empty, without blanks around it`)
    }
    bytes += name.length + value.length
  }
  if (bytes > MAX_METADATA_BYTES) throw new LongtakeError('BLOB_REFUSED', `metadata has ${bytes} bytes; at most ${MAX_METADATA_BYTES} are possible`)
}

export function checkRange(offset: number, count: number | undefined): void {
  const wrong = !Number.isSafeInteger(offset) || offset < 0 || (count !== undefined && (!Number.isSafeInteger(count) || count < 1))
  if (wrong) throw new LongtakeError('BLOB_REFUSED', `no range: ${count ?? 'all'} bytes from ${offset}`)
}
