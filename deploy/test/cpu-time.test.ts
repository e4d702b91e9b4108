import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { cpuTimeMs } from '../local/cpu-time.ts'

test('the CPU time of a busy process grows, and one that has ended has none', { skip: !existsSync('/proc/self/stat') }, async (t) => {
  const child = spawn(process.execPath, ['--eval', 'console.log("up"); for (;;);'], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const { pid } = child
  assert.ok(pid !== undefined)
  const before = cpuTimeMs(pid) ?? Number.NaN
  while (!((cpuTimeMs(pid) ?? 0) >= before + 50)) await new Promise((resolve) => { setTimeout(resolve, 10) })
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(cpuTimeMs(pid), undefined)
})
