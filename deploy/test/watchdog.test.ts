import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

test('what a process has started ends with it, also when it is killed', async () => {
  const parent = spawn(process.execPath, [fileURLToPath(new URL('fixtures/parent.ts', import.meta.url))], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string]
  const child = Number(line)
  assert.ok(isAlive(child))
  parent.kill('SIGKILL')
  await once(parent, 'exit')
  while (isAlive(child)) await delay(50)
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
