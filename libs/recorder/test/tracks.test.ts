import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, test } from 'node:test'
import type { Spool } from '../src/spool/spool.ts'
import { Tracks } from '../src/capture/tracks.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { FakeMediaRecorder, FakeSource, FakeTimers, installMediaFakes, settled, streamOf } from './media-fakes.ts'

let timers: FakeTimers
beforeEach(() => {
  installMediaFakes()
  timers = new FakeTimers()
})
afterEach(() => timers.restore())

const camera = () => ({ stream: streamOf(new FakeSource('video')) })

function tracksOf(session: string) {
  const upload = new UploadSession()
  const spool = { addPart: () => Promise.resolve(), addChunk: () => Promise.resolve(), closePart: () => Promise.resolve() } as unknown as Spool
  const tracks = new Tracks(session, { session: upload, spool, timers: timers.worker, perform: () => undefined, error: () => undefined, report: () => undefined, ended: () => undefined })
  return { tracks, upload }
}

const heldBy = async (session: string): Promise<string[]> => ((await navigator.locks.query()).held ?? []).flatMap(({ name }) => (name?.includes(session) ? [name.split(':').at(-1)!] : []))

test('a track that has not begun when all end is not recorded, and nothing waits for it', async () => {
  const session = randomUUID()
  const { tracks, upload } = tracksOf(session)
  await tracks.start({ webcam: camera() })
  FakeMediaRecorder.next = 'wait'
  const adding = assert.rejects(tracks.add('screen', camera()), { code: 'invalid-options' })
  await settled()
  await tracks.end()
  await timers.pass(15_000)
  await adding
  assert.equal(FakeMediaRecorder.running.length, 0)
  assert.deepEqual(Object.keys(upload.progress()), ['webcam'])
  assert.deepEqual(await heldBy(session), [])
})

test('while a track waits for its first frame there is no second one of its name', async () => {
  const { tracks } = tracksOf(randomUUID())
  const still = new FakeSource('video')
  still.delivers = false
  const adding = tracks.add('screen', { stream: streamOf(still) })
  await settled()
  await assert.rejects(tracks.add('screen', camera()), { code: 'invalid-options' })
  await timers.pass(5000)
  still.delivers = true
  await timers.pass(3000)
  await adding
  assert.equal(FakeMediaRecorder.running.length, 1)
  await tracks.end()
})

test('a track that could not start is free for another tab', async () => {
  const session = randomUUID()
  const { tracks } = tracksOf(session)
  await tracks.start({ webcam: camera() })
  FakeMediaRecorder.next = 'throw'
  await assert.rejects(tracks.add('screen', camera()), { code: 'capture-failed' })
  assert.deepEqual(await heldBy(session), ['webcam'])
  await tracks.end()
})
