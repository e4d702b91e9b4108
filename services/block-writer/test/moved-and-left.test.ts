import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { newBlockIds } from '@longtake/blob'
import { syntheticChunks } from '@longtake/testkit'
import { decodeCheckpoint, planCommit, Track } from '../src/core/index.ts'
import { timesOf } from '../src/core/part-state.ts'
import { SESSION, SETTINGS, STARTED_AT } from './harness.ts'

const newBlockId = newBlockIds()
const about = { session: SESSION, track: 'webcam' }

/** A track without storage: what is committed is what its checkpoints say. */
class Committed {
  readonly track = new Track(SESSION, 'webcam', SETTINGS.limits)

  open(part: string, atMs: number): void {
    const startedAt = new Date(STARTED_AT + atMs).toISOString()
    this.track.declare({ type: 'part-opened', ...about, part, client: 'c', mimeType: 'video/webm', startedAt, at: '' })
  }

  take(part: string, chunks: readonly Uint8Array[], from: number, to: number): void {
    for (let seq = from; seq < to; seq++) {
      const payload = chunks[seq]!
      const sha256 = createHash('sha256').update(payload).digest('hex')
      const capturedAt = STARTED_AT + 1_000 * seq
      this.track.takeChunk({ kind: 'chunk', ...about, part, client: 'c', seq, sha256, capturedAt, payload }, STARTED_AT)
    }
  }

  /** Works off what was taken; storage has nothing else that is asked for. */
  work(): void {
    for (const _step of this.track.work()) continue
  }

  /** By file, the times of its parts' media as the last commit has them. */
  commit(): Record<number, unknown> {
    return Object.fromEntries(
      this.track.dirtyFiles.map((file) => {
        const plan = planCommit(this.track, file, randomUUID(), 0n)
        const { checkpoint } = plan.seal(plan.blocks.map(() => newBlockId(Buffer.from(randomUUID()))))
        return [file.number, decodeCheckpoint(checkpoint.bytes).parts.map((part) => [part.id, timesOf(part)])]
      }),
    )
  }
}

test('given media that moved and is not committed yet, when its part goes on in a later file, then both are committed', () => {
  const committed = new Committed()
  const [ahead, middle, behind] = [1, 2, 3].map((seed) =>
    syntheticChunks({ durationMs: 20_000, seed, chunkEveryMs: 1_000, keyframeEveryMs: 1_000 }),
  )
  for (const [part, atMs] of [['ahead', 0], ['middle', 6_000], ['behind', 17_000]] as const) committed.open(part, atMs)
  committed.take('ahead', ahead!, 0, 5)
  committed.take('middle', middle!, 0, 10)
  committed.take('behind', behind!, 0, 10)
  committed.work()
  committed.commit()
  committed.take('ahead', ahead!, 5, 8)
  committed.work()
  committed.take('middle', middle!, 10, 20)
  committed.work()
  assert.deepEqual(committed.commit(), {
    1: [['middle', { startMs: 0, endMs: 10_000 }]],
    0: [
      ['ahead', { startMs: 0, endMs: 8_000 }],
      ['middle', { startMs: 8_000, endMs: 18_000 }],
      ['behind', { startMs: 18_000, endMs: 28_000 }],
    ],
  })
})
