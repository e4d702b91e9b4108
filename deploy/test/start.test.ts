import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isFree } from '../local/ports.ts'
import { ownSettings, runStart } from './start-process.ts'

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'longtake-start-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function lastLine(env: Record<string, string>): Promise<string> {
  const { code, lines } = await runStart(env).end()
  assert.equal(code, 1)
  assert.ok(!lines.some((line) => line.startsWith('    at ')), `no stack for what the user can mend:\n${lines.join('\n')}`)
  return lines.at(-1) ?? ''
}

test('a taken port is named with what it is for and how to choose another, which is free', async (t) => {
  const { env } = await ownSettings(temporaryFolder(t))
  const port = Number(env['LONGTAKE_GATEWAY_PORT'])
  // As 8081 beside 8080: what lies next is wanted here, too.
  env['LONGTAKE_LOCAL_AZURITE_PORT'] = String(port + 1)
  const server = createServer().listen(port, '127.0.0.1')
  t.after(() => server.close())
  await new Promise((resolve) => {
    server.once('listening', resolve)
  })
  const line = await lastLine(env)
  const beginning = `longtake: port ${port} (the gateway) is taken: end the program that listens there, or choose another one: LONGTAKE_GATEWAY_PORT=`
  assert.equal(line.slice(0, beginning.length), beginning)
  const [, proposed] = /^(\d+) npm start\.$/.exec(line.slice(beginning.length)) ?? []
  assert.ok(Number(proposed) > port + 1, line)
  assert.ok(await isFree(Number(proposed)), line)
})

test('a port that is none, a mistyped name, and two storages at once, are refused', async (t) => {
  const { env } = await ownSettings(temporaryFolder(t))
  assert.equal(await lastLine({ ...env, LONGTAKE_QUERY_PORT: '', LONGTAKE_QUERY_PROT: '8090' }), 'longtake: LONGTAKE_QUERY_PROT is no setting: is LONGTAKE_QUERY_PORT meant?')
  assert.match(await lastLine({ ...env, LONGTAKE_QUERY_PORT: 'http' }), /LONGTAKE_QUERY_PORT is http, which is no port/)
  assert.match(await lastLine({ ...env, AZURE_STORAGE_CONNECTION_STRING: 'a', LONGTAKE_AZURE_ACCOUNT_URL: 'https://b' }), /both set: unset one of them/)
})

test('a Kafka and a storage that were named and do not answer are told in one line with the way out', async (t) => {
  const { env } = await ownSettings(temporaryFolder(t))
  const storage = 'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a'
  // Both are asked at once: whichever is first given up is told.
  assert.match(await lastLine({ ...env, KAFKA_BROKERS: '127.0.0.1:1', AZURE_STORAGE_CONNECTION_STRING: storage }), /(no Kafka answers at 127\.0\.0\.1:1|the storage that was named cannot be used).*this brings its own\.$/)
})

test('without Java, and without Maven, one line says what to install or do instead', async (t) => {
  const folder = temporaryFolder(t)
  const settings = await ownSettings(join(folder, 'data'))
  // Nothing fetched yet: what is missing first is said first.
  const env = { ...settings.env, XDG_CACHE_HOME: join(folder, 'cache') }
  const path = join(folder, 'bin')
  mkdirSync(path)
  assert.match(await lastLine({ ...env, PATH: path, JAVA_HOME: '' }), /^longtake: Java is missing: install Java 17 .* or set KAFKA_BROKERS/)

  const pretendJava = (version: string): void => writeFileSync(join(path, 'java'), `#!/bin/sh\necho 'openjdk version "${version}"' >&2\n`, { mode: 0o755 })
  pretendJava('11.0.2')
  assert.match(await lastLine({ ...env, PATH: path, JAVA_HOME: '' }), /^longtake: Java 11 is too old: install Java 17/)
  pretendJava('21.0.1')
  assert.match(await lastLine({ ...env, PATH: path, JAVA_HOME: '' }), /^longtake: Maven is missing, .* or set KAFKA_BROKERS/)
})
