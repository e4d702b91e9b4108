import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Exit } from '../local/child.ts'
import { freePort } from '../local/ports.ts'
import { Processes, type ProcessesOptions } from '../local/processes.ts'

const SCRIPT = fileURLToPath(new URL('fixtures/service.ts', import.meta.url))

async function makeProcesses(t: TestContext, options: { fault?: string } & Partial<ProcessesOptions> = {}): Promise<Processes> {
  const { fault = '', ...rest } = options
  const logDir = mkdtempSync(join(tmpdir(), 'longtake-processes-'))
  const healthPort = await freePort()
  const env = { ...process.env, DEMO_HEALTH_PORT: String(healthPort), DEMO_FAULT: fault }
  const processes = new Processes({ specs: [{ name: 'demo', script: SCRIPT, healthPort, env }], logDir, ...rest })
  t.after(async () => {
    await processes.stop('demo')
    rmSync(logDir, { recursive: true, force: true })
  })
  return processes
}

test('a service is started, killed, restarted and stopped by name', async (t) => {
  const processes = await makeProcesses(t)
  await processes.start('demo')
  const first = processes.pid('demo')
  processes.kill('demo')
  assert.equal((await processes.exited('demo')).signal, 'SIGKILL')
  assert.throws(() => processes.pid('demo'), /does not run/)
  await processes.restart('demo')
  assert.notEqual(processes.pid('demo'), first)
  assert.deepEqual(await processes.stop('demo'), { code: 0, signal: null })
  assert.throws(() => processes.pid('other'), /there is no process other, only demo/)
  assert.match(readFileSync(processes.logFile('demo'), 'utf8'), /"started"/)
})

test('a service that cannot start is quoted', async (t) => {
  const processes = await makeProcesses(t, { fault: 'start', onRestart: () => assert.fail('it never ran, so it is not started again') })
  await assert.rejects(processes.start('demo'), /demo ended while starting \(exit code 1\)[\s\S]*its setting is wrong/)
})

test('a service that refuses its settings is quoted as something the user can mend', async (t) => {
  const processes = await makeProcesses(t, { fault: 'settings' })
  await assert.rejects(processes.start('demo'), { name: 'SetupError', message: 'demo cannot start. One setting is wrong:\n  DEMO_KEY must have at least 16 characters' })
})

test('a service that dies by itself is started again, and its lines keep coming', async (t) => {
  const lines: string[] = []
  let onRestart: (exit: Exit) => void = () => undefined
  const restarted = new Promise<Exit>((resolve) => {
    onRestart = resolve
  })
  const processes = await makeProcesses(t, { onLine: (_, text) => lines.push(text), onRestart: (_, exit) => onRestart(exit) })
  await processes.start('demo')
  const first = await (await fetch(`${processes.healthUrl('demo')}/die`)).text()
  assert.equal((await restarted).code, 3)
  const second = await untilAnswers(`${processes.healthUrl('demo')}/readyz`)
  assert.notEqual(second, first)
  assert.deepEqual(lines, Array(2).fill('{"level":"info","message":"started"}'))
})

async function untilAnswers(url: string): Promise<string> {
  for (;;) {
    try {
      return await (await fetch(url)).text()
    } catch {
      await new Promise((resolve) => {
        setTimeout(resolve, 50)
      })
    }
  }
}
