import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { findFfprobe } from '@longtake/testkit'

/** What `ffprobe -v warning` says of an address: the duration, and each line it complained with. */
export async function probe(url: string): Promise<{ durationMs: number; warnings: string[] }> {
  const { stdout, stderr } = await promisify(execFile)(findFfprobe(), ['-v', 'warning', '-show_entries', 'format=duration', '-of', 'json', url])
  const { format } = JSON.parse(stdout) as { format: { duration?: string } }
  return { durationMs: Number(format.duration ?? Number.NaN) * 1000, warnings: stderr.split('\n').filter((line) => line !== '') }
}
