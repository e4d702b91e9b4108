import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadRecording } from '@longtake/testkit'
import { connect, createSession, judge, type Reachable } from './sessions.ts'
import { ownSettings, runStart, type StartProcess, untilFree } from './start-process.ts'

test('npm start: survives its servers, refuses a second start, stops in time whatever hangs, and goes on with its data', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'longtake-start-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const { env, ports } = await ownSettings(dataDir)

  const first = runStart(env)
  const address = /http:\S+/.exec(await first.line(/ record +http/))?.[0] ?? ''
  const page = await fetch(address)
  assert.equal(page.status, 200, address)
  const key = new URLSearchParams(new URL(address).hash.slice(1)).get('key') ?? ''
  const system = { queryUrl: new URL(address).origin, gatewayUrl: `ws://127.0.0.1:${env['LONGTAKE_GATEWAY_PORT']}`, apiKey: key }

  const second = await runStart(env).end()
  assert.equal(second.code, 1)
  assert.match(second.lines.at(-1) ?? '', new RegExp(`it runs already with the data in .* as process ${first.pid}`))

  const kept = await recordThroughFaults(first, system)

  // Twice, as Ctrl-C does it under npm; Kafka and Azurite hang.
  for (const name of ['kafka.Kafka', 'azurite'] as const) process.kill(serverPid(first, name), 'SIGSTOP')
  const asked = performance.now()
  first.signal('SIGINT')
  first.signal('SIGINT')
  await first.line(/stopping everything/)
  // Comes while the first is stopping, and waits for it.
  const third = runStart(env)
  const { code, lines } = await first.end()
  assert.equal(code, 0, lines.join('\n'))
  assert.ok(performance.now() - asked < 10_000, 'Ctrl-C ends within ten seconds')
  assert.match(lines.at(-1) ?? '', /stopped/)

  assert.ok((await third.line(/ record +http/)).includes(address), 'the same address with the same key')
  const status = await fetch(`${system.queryUrl}/v1/sessions/${kept}`, { headers: { authorization: `Bearer ${key}` } })
  assert.equal(status.status, 200)
  third.signal('SIGKILL')
  assert.equal((await third.end()).code, null)
  await untilFree(ports)
})

/** A session is recorded while Kafka and Azurite are killed and Azurite then hangs; the checker judges it. */
async function recordThroughFaults(start: StartProcess, system: Reachable): Promise<string> {
  const { chunks } = loadRecording('chrome-webcam-vp9-opus')
  const third = Math.floor(chunks.length / 3)
  const session = await createSession(system)
  const client = await connect(system, session, { autoReconnect: true, timeoutMs: 120_000 })
  const part = await client.open({ track: 'webcam', mimeType: 'video/webm;codecs=vp9,opus' })
  await client.sendAll(part, chunks.slice(0, third))
  await client.allAcknowledged(part)

  process.kill(serverPid(start, 'azurite'), 'SIGKILL')
  process.kill(serverPid(start, 'kafka.Kafka'), 'SIGKILL')
  await client.sendAll(part, chunks.slice(third, 2 * third), third)
  await Promise.all([start.line(/Azurite: its process has ended/), start.line(/Kafka: its process has ended/)])
  await Promise.all([start.line(/Azurite runs again/), start.line(/Kafka runs again/)])
  await client.allAcknowledged(part)

  process.kill(serverPid(start, 'azurite'), 'SIGSTOP')
  await client.sendAll(part, chunks.slice(2 * third), 2 * third)
  await start.line(/Azurite: it does not answer for \d+ s; restarting/)
  await client.allAcknowledged(part)
  await client.close(part)
  await client.finish()
  await judge(system, session, [client])
  await client.disconnect()
  return session.id
}

/** Of the child of `npm start` whose command line has this word. */
function serverPid({ pid }: StartProcess, word: string): number {
  const processes = execFileSync('ps', ['-A', '-o', 'pid=', '-o', 'ppid=', '-o', 'args='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
  const found = processes.find((match) => Number(match?.[2]) === pid && match?.[3]?.includes(word))
  assert.ok(found, `${word} runs`)
  return Number(found[1])
}
