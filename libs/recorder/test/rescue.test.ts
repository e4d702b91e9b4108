import 'fake-indexeddb/auto'
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { rescue, type RescuedFile } from '../src/rescue/index.ts'
import { Spool } from '../src/spool/spool.ts'
import { OTHER_SPOOL_KEY, SPOOL_KEY, spoolKey } from './spool-key.ts'

const [A, B] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222']

/** A recorder that is still running: a part of three chunks and one whose first is on the server already. */
async function kept(session: string): Promise<Spool> {
  const spool = await Spool.create({ session, client: 'c', ingestUrl: 'ws://g', startedAt: 5 }, await spoolKey())
  await spool.addPart({ part: A, track: 'webcam', mimeType: 'video/webm;codecs=vp9', startedAt: Date.UTC(2026, 0, 2, 3, 4, 5) })
  await spool.addPart({ part: B, track: 'screen', mimeType: 'video/mp4;codecs=avc3.42E01F', startedAt: Date.UTC(2026, 0, 2, 3, 4, 6) })
  for (const part of [A, B]) {
    for (const seq of [0, 1, 2]) await spool.addChunk({ part, seq, payload: new TextEncoder().encode(`${part[0]}${seq} `).buffer, capturedAt: seq })
  }
  await spool.forgetChunks(B, 0, 0, 'acknowledged')
  return spool
}

const filesOf = async (session: string, key: string | null): Promise<RescuedFile[]> => rescue({ spoolKey: (pending) => (pending.session === session ? key : null) })

test('what only this computer has becomes a file for each part, and stays where it is', async () => {
  const session = randomUUID()
  const spool = await kept(session)
  for (const round of ['first', 'again']) {
    const files = await filesOf(session, SPOOL_KEY)
    assert.deepEqual(await Promise.all(files.map(async ({ track, chunks, playable, blob }) => [track, chunks, playable, await blob.text(), blob.type])), [
      ['webcam', [[0, 2]], true, '10 11 12 ', 'video/webm;codecs=vp9'],
      ['screen', [[1, 2]], false, '21 22 ', 'video/mp4;codecs=avc3.42e01f'],
    ], round)
    assert.deepEqual(files.map(({ name }) => name), [`${session}-webcam-2026-01-02T03-04-05-11111111.webm`, `${session}-screen-2026-01-02T03-04-06-22222222.mp4`])
  }
  await spool.clear()
  assert.deepEqual(await filesOf(session, SPOOL_KEY), [])
})

test('without the right key nothing is read', async () => {
  const session = randomUUID()
  const spool = await kept(session)
  assert.deepEqual(await filesOf(session, OTHER_SPOOL_KEY), [])
  assert.deepEqual(await filesOf(session, null), [])
  await spool.clear()
})
