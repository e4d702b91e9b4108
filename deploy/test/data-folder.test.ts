import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { decideDataState, formatSize, measureDataUse, parseDataLimit, resetData, rotateLogs } from '../local/data-folder.ts'

const GIB = 1024 ** 3

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'longtake-data-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('from 80 % on there is a warning, at 100 % no recording, and below 90 % recording again', () => {
  const state = (gib: number, before: 'ok' | 'warn' | 'full') => decideDataState({ bytes: gib * GIB, freeBytes: 9 * GIB }, 20 * GIB, before)
  assert.deepEqual([state(15.9, 'ok'), state(16, 'ok'), state(19.9, 'warn'), state(20, 'warn')], ['ok', 'warn', 'warn', 'full'])
  assert.deepEqual([state(18, 'full'), state(17.9, 'full'), state(18, 'warn')], ['full', 'warn', 'warn'])
})

test('a disk that is nearly full counts, whatever the limit', () => {
  assert.equal(decideDataState({ bytes: 0, freeBytes: 0.4 * GIB }, 20 * GIB, 'ok'), 'disk-full')
})

test('limits are read with their unit; anything else is refused', () => {
  assert.deepEqual(['20GiB', '500 MiB', '1.5tib'].map(parseDataLimit), [20 * GIB, 500 * 1024 ** 2, 1536 * GIB])
  for (const wrong of ['20', '20GB', '0GiB', '-1GiB', 'none', '']) assert.throws(() => parseDataLimit(wrong), { name: 'SetupError', message: /LONGTAKE_DATA_LIMIT/ })
})

test('sizes below one GiB are given in MiB', () => {
  assert.deepEqual([formatSize(2 * 1024 ** 2), formatSize(19.26 * GIB)], ['2 MiB', '19.3 GiB'])
})

test('use is measured in what the disk holds: sparse files are as small as their content', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'kafka', 'log'), { recursive: true })
  writeFileSync(join(folder, 'kafka', 'log', 'segment'), Buffer.alloc(1_000_000, 1))
  writeFileSync(join(folder, 'sparse'), '')
  truncateSync(join(folder, 'sparse'), GIB)
  const { bytes, freeBytes } = await measureDataUse(folder)
  assert.ok(bytes >= 1_000_000 && bytes < 2_000_000, String(bytes))
  assert.ok(freeBytes > 0)
})

test('a log that has grown too long is moved aside, and a second time over the first', (t) => {
  const folder = temporaryFolder(t)
  const log = join(folder, 'gateway.log')
  writeFileSync(log, 'x'.repeat(101))
  writeFileSync(join(folder, 'query.log'), 'short')
  rotateLogs(folder, 100)
  assert.deepEqual([readFileSync(log, 'utf8'), readFileSync(`${log}.1`, 'utf8').length, readFileSync(join(folder, 'query.log'), 'utf8')], ['', 101, 'short'])
  writeFileSync(log, 'y'.repeat(150))
  rotateLogs(folder, 100)
  assert.equal(readFileSync(`${log}.1`, 'utf8'), 'y'.repeat(150))
})

test('a reset deletes recordings and logs, but neither keys nor what is not of Longtake', (t) => {
  const folder = temporaryFolder(t)
  for (const name of ['kafka', 'azurite', 'logs', 'mine']) mkdirSync(join(folder, name))
  writeFileSync(join(folder, 'keys.json'), '{}')
  resetData(folder)
  assert.deepEqual(['kafka', 'azurite', 'logs', 'mine', 'keys.json'].map((name) => existsSync(join(folder, name))), [false, false, false, true, true])
})
