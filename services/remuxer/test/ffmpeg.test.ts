import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runFfmpeg } from '../src/ffmpeg.ts'

const ENABLED = '/proc/sys/kernel/sched_autogroup_enabled'
const hasAutogroups = existsSync(ENABLED) && readFileSync(ENABLED, 'utf8').trim() === '1'

/** A program in place of ffmpeg, which sees its own process as ffmpeg would. */
function program(t: { after: (end: () => void) => void }, lines: string): { path: string; cwd: string } {
  const cwd = mkdtempSync(join(tmpdir(), 'longtake-ffmpeg-test-'))
  t.after(() => rmSync(cwd, { recursive: true, force: true }))
  const path = join(cwd, 'ffmpeg')
  writeFileSync(path, `#!/bin/sh\n${lines}\n`)
  chmodSync(path, 0o755)
  return { path, cwd }
}

test('ffmpeg yields to processes of other sessions, too', { skip: !hasAutogroups && 'this kernel weighs processes alone' }, async (t) => {
  const { path, cwd } = program(t, 'until grep -q "nice 5$" /proc/self/autogroup; do sleep 0.02; done')
  const run = await runFfmpeg(path, { args: [], cwd, timeLimitMs: 20_000, signal: new AbortController().signal })
  assert.equal(run.outcome, 'done')
})

test('aborted, it ends at once with the reason, whatever ffmpeg does', async (t) => {
  const { path, cwd } = program(t, 'trap "" TERM INT HUP; touch started; while :; do sleep 0.02; done')
  const stopping = new AbortController()
  const run = runFfmpeg(path, { args: [], cwd, timeLimitMs: 60_000, signal: stopping.signal })
  while (!existsSync(join(cwd, 'started'))) await new Promise((resolve) => setImmediate(resolve))
  stopping.abort(new Error('stopping'))
  await assert.rejects(run, /stopping/)
})
