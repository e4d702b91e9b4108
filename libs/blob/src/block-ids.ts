import { createHash, randomBytes } from 'node:crypto'

const INCARNATION_BYTES = 12
const DIGEST_BYTES = 16

/**
 * Makes ids for the blocks of one incarnation of a writer (one ownership of one partition): its random name, a counter,
 * and the first half of the block's SHA-256. No two are ever equal, so a block staged by a dead or paused writer cannot
 * be named by another's commit; and what a block should hold can be proven from its id.
 * All ids decode to 32 bytes; they are base64, as Azure wants them.
 */
export function newBlockIds(incarnation: Uint8Array = randomBytes(INCARNATION_BYTES)): (bytes: Uint8Array) => string {
  if (incarnation.length !== INCARNATION_BYTES) throw new RangeError(`an incarnation has ${INCARNATION_BYTES} bytes`)
  let counter = 0
  return (bytes) => {
    if (counter > 0xffff_ffff) throw new RangeError('this incarnation has used up its block ids')
    const id = Buffer.alloc(INCARNATION_BYTES + 4 + DIGEST_BYTES)
    id.set(incarnation)
    id.writeUInt32BE(counter++, INCARNATION_BYTES)
    id.set(digestOf(bytes), INCARNATION_BYTES + 4)
    return id.toString('base64')
  }
}

/** Whether these bytes are those that the id was made for. False also for what is no id of `newBlockIds`. */
export function isBlockOf(id: string, bytes: Uint8Array): boolean {
  const raw = Buffer.from(id, 'base64')
  return raw.length === INCARNATION_BYTES + 4 + DIGEST_BYTES && raw.subarray(-DIGEST_BYTES).equals(digestOf(bytes))
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest().subarray(0, DIGEST_BYTES)
}
