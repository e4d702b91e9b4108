import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'

const PREFIX = 'longtake-remuxer-'

/** A folder for one run; gone with its disposal, whatever is in it. */
export interface Workspace extends AsyncDisposable {
  readonly path: string
}

/** @param bytes what will be put into it; rejects if the disk has no room for that now */
export async function openWorkspace(parent: string, bytes: number): Promise<Workspace> {
  const { bavail, bsize } = await statfs(parent)
  if (bavail * bsize < bytes) throw new Error(`${parent} has ${bavail * bsize} bytes free, ${bytes} are needed`)
  const path = await mkdtemp(join(parent, `${PREFIX}${process.pid}-`))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Removes what processes left that were killed, an earlier one with our own id (in a container, always 1) among them. */
export async function removeLeftovers(parent: string): Promise<number> {
  const names = await readdir(parent)
  const left = names.filter((name) => {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    return pid !== undefined && (Number(pid) === process.pid || !isAlive(Number(pid)))
  })
  await Promise.all(left.map((name) => rm(join(parent, name), { recursive: true, force: true })))
  return left.length
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
