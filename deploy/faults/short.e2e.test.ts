import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runSuite } from './suite.ts'

/** Always the same; `npm run test:faults` takes another each time. */
const SEED = 7

test('whatever is killed, paused, cut off or restarted: what was acknowledged is kept, once, and what is missing is told', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'longtake-faults-'))
  const { results, passed } = await runSuite({ profile: 'short', seed: SEED, dataDir, log: (line) => t.diagnostic(line) })
  assert.ok(passed, `${results.flatMap(({ verdict }) => verdict.faults).join('\n')}\ndata and logs are in ${dataDir}`)
  await rm(dataDir, { recursive: true, force: true })
})
