import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOBS, type SessionState } from '@longtake/contracts'
import { evolve, judge } from '@longtake/domain'
import { assertContent, checkRecording, partsOfFiles, syntheticChunks } from '@longtake/testkit'
import { newPart, SESSION, World } from './harness.ts'

const chunks = syntheticChunks({ durationMs: 20_000, seed: 5, chunkEveryMs: 1_000, keyframeEveryMs: 3_000 })

for (const [what, late] of [['a hole', [7]], ['the tail', [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]], ['a hole and the tail', [4, 16, 17, 18, 19]]] as const) {
  test(`late data of an archived file, ${what}: pictures that nothing can decode are left out and reported, all else is there`, async () => {
    let isArchived = false
    const world = new World({
      settings: { retryMs: 250, maxRetryMs: 15_000 },
      faults: { refuses: (blob) => (isArchived && blob === BLOBS.file(SESSION, 'webcam', 0) ? 'held' : null) },
    })
    world.own()
    const part = newPart()
    world.open(part)
    for (const [seq, bytes] of chunks.entries()) if (!(late as readonly number[]).includes(seq)) world.chunk(part, seq, bytes)
    world.closePart(part, chunks.length)
    await world.pass(40_000)
    isArchived = true
    for (const seq of late) world.chunk(part, seq, chunks[seq]!)
    await world.pass(61_000)
    world.declare({ type: 'session-finished', session: SESSION, parts: { webcam: [part.part] }, at: world.at() })
    await world.pass(5_000)
    assert.equal(world.committedOffset, world.log.length)
    const { stored, missing, undecodable } = world.partState(part.part, 'webcam', 1)
    assert.deepEqual([stored, missing], [[[0, 19]], []])
    assert.ok(undecodable.length > 0 && undecodable.every(({ cause }) => cause === 'no-keyframe'), JSON.stringify(undecodable))
    // Keyframes come every three seconds.
    for (const { from, to } of undecodable) assert.ok(late.some((seq) => seq >= from && seq <= to) && to - from <= 3, JSON.stringify(undecodable))
    isArchived = false
    const files = [await world.file(), await world.file('webcam', 1)]
    const told = { files: [{ parts: [part.part] }, { parts: [part.part] }] }
    const gaps = undecodable.map((range) => ({ ...range, kind: 'undecodable' as const }))
    for (const [number, group] of partsOfFiles(files, [{ ...part, chunks, gaps }], told).entries()) {
      // The place of what is left out is empty, and there may be no keyframe.
      assertContent(checkRecording({ file: files[number]!, parts: group }).findings.filter(({ code }) => code !== 'part-offset' && code !== 'cue-missing'), `file ${number}`)
    }
    const status = world.events.reduce<SessionState | undefined>((state, event, offset) => judge(evolve(state, event, String(offset)), world.clock.now()).state, undefined)!
    assert.equal(status.status, 'complete-with-gaps')
    assert.deepEqual([...new Set(status.gaps.map(({ kind, cause }) => `${kind} ${cause}`))], ['undecodable no-keyframe'])
  })
}
