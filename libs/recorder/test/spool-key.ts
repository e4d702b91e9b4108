import { importSpoolKey } from '../src/spool/chunk-cipher.ts'

export const SPOOL_KEY = 'nLnIuILzz9p50UszFLn7l9NKvIW_bsdYMCVrguxFUIg'
export const OTHER_SPOOL_KEY = `${'x'.repeat(42)}A`

export const spoolKey = (text = SPOOL_KEY): Promise<CryptoKey> => importSpoolKey(text)
