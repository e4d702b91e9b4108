import { copyFileSync, globSync, rmSync, statSync, truncateSync } from 'node:fs'
import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { SetupError } from './setup-error.ts'

const GIB = 1024 ** 3
const UNITS: Readonly<Record<string, number>> = { MIB: 1024 ** 2, GIB, TIB: 1024 * GIB }
/** What `stat` counts in (POSIX, sys/stat.h). */
const BLOCK_BYTES = 512
const WARN_SHARE = 0.8
/** Once full, so far must it shrink, so that recording does not start and stop in turn. */
const RESUME_SHARE = 0.9
/** With less free space on the disk Kafka and Azurite would soon fail in the middle of a write. */
const MIN_FREE_BYTES = GIB / 2
const MAX_LOG_BYTES = 32 * 1024 ** 2
/** What a start makes in the data folder, beside its keys. */
const STATE = ['kafka', 'azurite', 'logs']

export interface DataUse {
  bytes: number
  /** On the disk, for all programs. */
  freeBytes: number
}

export type DataState = 'ok' | 'warn' | 'full' | 'disk-full'

/** Whether recording may go on; `before` is the state after the previous measurement. */
export function decideDataState({ bytes, freeBytes }: DataUse, limitBytes: number, before: DataState): DataState {
  if (freeBytes < MIN_FREE_BYTES) return 'disk-full'
  if (bytes >= limitBytes) return 'full'
  if (before === 'full' && bytes >= limitBytes * RESUME_SHARE) return 'full'
  return bytes >= limitBytes * WARN_SHARE ? 'warn' : 'ok'
}

/** Of `20GiB`, `500MiB` or `1.5TiB`, in bytes. */
export function parseDataLimit(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([mgt]ib)$/i.exec(text.trim()) ?? []
  const bytes = Number(number) * (UNITS[unit.toUpperCase()] ?? 0)
  if (!(bytes > 0)) throw new SetupError(`LONGTAKE_DATA_LIMIT is ${text}, which is no size: give one as 20GiB or 500MiB.`)
  return bytes
}

export const formatSize = (bytes: number): string => (bytes < GIB ? `${(bytes / 1024 ** 2).toFixed(0)} MiB` : `${(bytes / GIB).toFixed(1)} GiB`)

export async function measureDataUse(folder: string): Promise<DataUse> {
  const { bavail, bsize } = await statfs(folder)
  return { bytes: await diskBytes(folder), freeBytes: bavail * bsize }
}

/** What the files in it take on the disk: Kafka's indexes are sparse. Files that vanish meanwhile count nothing. */
async function diskBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  let bytes = 0
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += await diskBytes(path)
    else if (entry.isFile()) bytes += (await stat(path).catch(() => ({ blocks: 0 }))).blocks * BLOCK_BYTES
  }
  return bytes
}

/** Keeps the latest part of each log: what is larger is moved to `<name>.log.1`. Their writers append and need not know. */
export function rotateLogs(logDir: string, maxBytes = MAX_LOG_BYTES): void {
  for (const name of globSync('*.log', { cwd: logDir })) {
    const file = join(logDir, name)
    if (statSync(file).size <= maxBytes) continue
    copyFileSync(file, `${file}.1`)
    truncateSync(file)
  }
}

/** Deletes all recordings, Kafka's and Azurite's state and logs; keys stay. */
export function resetData(folder: string): void {
  for (const name of STATE) rmSync(join(folder, name), { recursive: true, force: true })
}
