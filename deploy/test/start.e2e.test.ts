import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ownSettings, runStart, untilFree } from './start-process.ts'

test('npm start: pages answer, a second start is told, Ctrl-C leaves nothing, the next start goes on, and a killed one leaves nothing either', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-start-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const { env, ports } = await ownSettings(dataDir)

  const first = runStart(env)
  const address = /http:\S+/.exec(await first.line(/ record +http/))?.[0] ?? ''
  const page = await fetch(address)
  assert.equal(page.status, 200, address)
  const key = new URLSearchParams(new URL(address).hash.slice(1)).get('key')
  const api = `${new URL(address).origin}/v1/sessions`
  const created = await fetch(api, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: '{"id":"kept"}' })
  assert.equal(created.status, 201)

  const second = await runStart(env).end()
  assert.equal(second.code, 1)
  assert.match(second.lines.at(-1) ?? '', new RegExp(`it runs already with the data in .* as process ${first.pid}`))

  // Twice, as Ctrl-C does it under npm.
  first.signal('SIGINT')
  first.signal('SIGINT')
  const { code, lines } = await first.end()
  assert.equal(code, 0, lines.join('\n'))
  assert.match(lines.at(-1) ?? '', /stopped, nothing is left running/)
  await untilFree(ports)

  const third = runStart(env)
  assert.ok((await third.line(/ record +http/)).includes(address), 'the same address with the same key')
  const kept = await fetch(`${api}/kept`, { headers: { authorization: `Bearer ${key}` } })
  assert.equal(kept.status, 200)
  third.signal('SIGKILL')
  assert.equal((await third.end()).code, null)
  await untilFree(ports)
})
