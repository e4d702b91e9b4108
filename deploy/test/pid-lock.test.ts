import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { takePidLock } from '../local/pid-lock.mjs'

function lockPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'longtake-lock-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'deeper', 'lock.pid')
}

test('a lock is had by one, who is named, until it is released', (t) => {
  const path = lockPath(t)
  const lock = takePidLock(path, 'pid-lock.test')
  assert.ok(lock.owner === undefined && !lock.stale)
  assert.equal(readFileSync(path, 'utf8'), String(process.pid))
  assert.deepEqual(takePidLock(path, 'pid-lock.test'), { owner: process.pid })
  lock.release()
  assert.ok(!existsSync(path))
})

test('the lock of a dead process, or of one that is another program by now, is taken over', (t) => {
  const path = lockPath(t)
  takePidLock(path, 'pid-lock.test')
  const dead = spawnSync(process.execPath, ['--version']).pid
  for (const owner of [dead, process.ppid]) {
    writeFileSync(path, String(owner))
    const lock = takePidLock(path, 'no such program')
    assert.ok(lock.owner === undefined && lock.stale)
  }
})
