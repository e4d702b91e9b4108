import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SessionState } from '@longtake/contracts'
import { evolve, judge } from '@longtake/domain'
import { assertContent, checkRecording, syntheticChunks } from '@longtake/testkit'
import { newPart, World } from './harness.ts'

const chunks = syntheticChunks({ durationMs: 120_000, seed: 9, bytesPerSecond: 400_000 })

/** All but chunk 0 is pending, far more than is read back at once; then chunk 0 comes. */
async function play(killAtCommit: number | null): Promise<{ commits: number; mostPending: number }> {
  let commits = 0
  let late = false
  const world: World = new World({
    faults: {
      at(moment, change) {
        if (!late || moment !== 'after' || change !== 'commit blocks' || ++commits !== killAtCommit) return
        world.crash()
        throw new Error('killed')
      },
    },
  })
  world.own()
  const part = newPart()
  world.open(part)
  for (const [seq, bytes] of chunks.entries()) {
    if (seq === 0) continue
    world.chunk(part, seq, bytes)
    await world.pass(1_000)
  }
  world.closePart(part, chunks.length)
  world.declare({ type: 'session-finished', session: 'session-1', parts: { webcam: [part.part] }, at: world.at() })
  await world.pass(40_000)
  assert.equal(world.committedOffset, world.log.length, 'nothing waits in Kafka for chunk 0')
  const pending = (await world.names('session-1/webcam/pending/')).length
  assert.equal((await world.file()).length, 0)
  assert.deepEqual(world.partState(part.part).missing.map(({ from, to }) => [from, to]), [[0, 0]])
  late = true
  world.own()
  world.chunk(part, 0, chunks[0]!)
  await world.pass(31_000)
  if (!world.owned) {
    world.own()
    await world.pass(31_000)
  }
  assertContent(checkRecording({ file: await world.file(), parts: [{ ...part, chunks }] }).findings, `killed at ${killAtCommit}`)
  assert.equal(world.committedOffset, world.log.length)
  assert.deepEqual(await world.pendingAtRest(), [])
  assert.deepEqual(told(world), [['complete', 1]], `killed at ${killAtCommit}`)
  return { commits, mostPending: pending }
}

/** What completeness would call the session, in turn. */
function told({ events, clock }: World): unknown[] {
  let state: SessionState | undefined
  return events.flatMap((event, offset) => {
    const judged = judge(evolve(state, event, String(offset)), clock.now())
    state = judged.state
    return judged.events.flatMap((made) => (made.type === 'session-completed' ? [[made.status, made.version]] : made.type === 'gap-confirmed' ? [[made.cause, made.from, made.to]] : []))
  })
}

test('a part whose beginning comes last is decoded piece by piece, over a crash at each', async () => {
  const { commits, mostPending } = await play(null)
  assert.ok(commits >= 3, `${commits} commits`)
  assert.ok(mostPending >= 10, `${mostPending} pending blobs`)
  for (let at = 1; at <= commits; at++) await play(at)
})
