import { hkdfSync } from 'node:crypto'
import type { Secret } from '@longtake/service'

/** The key of a session's spools: 32 bytes as base64url. Nothing is stored for it, and one session's key tells nothing of another's. */
export function spoolKeyOf(secret: Secret, session: string): string {
  return Buffer.from(hkdfSync('sha256', secret.reveal(), '', `longtake-spool:${session}`, 32)).toString('base64url')
}
