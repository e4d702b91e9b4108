// Plain JavaScript: bootstrap.mjs uses it before there is a Node that runs TypeScript.
import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'

/**
 * Takes the lock, or says who has it. A lock whose process is gone, or whose number now belongs to another program,
 * is taken over; `stale` then says so.
 * @param {string} path
 * @param {string} program part of the command line of those who take this lock
 * @returns {{ owner: number } | { owner: undefined, stale: boolean, release: () => void }}
 */
export function takePidLock(path, program) {
  mkdirSync(dirname(path), { recursive: true })
  const release = () => rmSync(path, { force: true })
  for (let stale = false; ; stale = true) {
    // Written aside first: nobody ever sees the lock without its owner in it.
    const mine = `${path}.${process.pid}`
    writeFileSync(mine, String(process.pid))
    try {
      linkSync(mine, path)
      return { owner: undefined, stale, release }
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    } finally {
      rmSync(mine)
    }
    const owner = readOwner(path)
    if (owner !== undefined && runs(owner, program)) return { owner }
    release()
  }
}

function readOwner(path) {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch (error) {
    // Released just now.
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

function runs(pid, program) {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
  try {
    return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).includes(program)
  } catch {
    // No `ps` here: then the number alone must do.
    return true
  }
}
