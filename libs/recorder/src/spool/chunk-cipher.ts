import { RecorderError } from '../api.ts'

/** What the spool keeps of a chunk's bytes: AES-GCM with a random nonce of its own. */
export interface SealedBytes {
  /** 12 bytes. */
  iv: Uint8Array<ArrayBuffer>
  /** Ciphertext and tag. */
  sealed: ArrayBuffer
}

const IV_BYTES = 12
const KEY_TEXT = /^[A-Za-z0-9_-]{43}$/

/**
 * The session's spool key as this page may use it: it cannot be read out again, and it is nowhere but in memory.
 * @param spoolKey 32 bytes as base64url
 * @throws RecorderError `invalid-options`
 */
export async function importSpoolKey(spoolKey: string): Promise<CryptoKey> {
  if (typeof spoolKey !== 'string' || !KEY_TEXT.test(spoolKey)) throw new RecorderError('invalid-options', 'spoolKey is not 32 bytes as base64url: give ingest as POST /v1/sessions answered it')
  const text = atob(`${spoolKey.replaceAll('-', '+').replaceAll('_', '/')}=`)
  const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0))
  return crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt'])
}

/** @param place whose bytes these are: in any other place they cannot be opened */
export async function seal(key: CryptoKey, place: readonly (string | number)[], bytes: ArrayBuffer): Promise<SealedBytes> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES))
  return { iv, sealed: await crypto.subtle.encrypt(algorithm(iv, place), key, bytes) }
}

/** @returns undefined when key, place or bytes are not those that were sealed */
export async function unseal(key: CryptoKey, place: readonly (string | number)[], { iv, sealed }: SealedBytes): Promise<ArrayBuffer | undefined> {
  try {
    return await crypto.subtle.decrypt(algorithm(iv, place), key, sealed)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'OperationError') return undefined
    throw error
  }
}

function algorithm(iv: Uint8Array<ArrayBuffer>, place: readonly (string | number)[]): AesGcmParams {
  return { name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(JSON.stringify(place)) }
}
