import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Keys {
  /** For admin calls, and printed in the address of the record page. */
  apiKey: string
  /** Signs the tokens of recorders and players. */
  tokenSecret: string
}

/** This machine's keys: made at the first start and kept, so that links and tokens outlive a restart. */
export function readOrMakeKeys(dataDir: string): Keys {
  const path = join(dataDir, 'keys.json')
  mkdirSync(dataDir, { recursive: true })
  const made: Keys = { apiKey: randomBytes(18).toString('base64url'), tokenSecret: randomBytes(36).toString('base64url') }
  try {
    writeFileSync(path, `${JSON.stringify(made, null, 2)}\n`, { flag: 'wx', mode: 0o600 })
    return made
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return JSON.parse(readFileSync(path, 'utf8')) as Keys
  }
}
