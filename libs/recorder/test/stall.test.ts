import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { STOP_PATIENCE_MS } from '../src/capture/capture.ts'
import { SilenceWatch } from '../src/capture/silence.ts'
import { TrackRecording } from '../src/capture/track-recording.ts'
import { FakeMediaRecorder, FakeSource, FakeTimers, installMediaFakes, settled, streamOf } from './media-fakes.ts'
import { hostOf, nothingSeen, recordingOf } from './recording-of.ts'

let timers: FakeTimers
beforeEach(() => {
  installMediaFakes()
  timers = new FakeTimers()
})
afterEach(() => timers.restore())

const sources = (): [camera: FakeSource, microphone: FakeSource] => [new FakeSource('video'), new FakeSource('audio')]
const running = (): string[] => FakeMediaRecorder.running.map(({ kinds }) => kinds)

test('a picture that stands still holds the sound back for seconds only: it is recorded alone until the picture moves', async () => {
  const [camera, microphone] = sources()
  const { track, told } = await recordingOf(timers, camera, microphone)
  await timers.pass(20_000)
  assert.deepEqual([running(), told.reports], [['video+audio'], []])
  camera.delivers = false
  await timers.pass(15_000)
  assert.deepEqual(running(), ['audio'])
  assert.deepEqual(told.reports, ['stalled no data from picture and sound: recorded without the picture until it delivers again'])
  assert.match(told.parts[0] ?? '', /^(\.\. ){19,20}(\.\.){11,13}last$/, 'what was held back is not lost')
  await timers.pass(180_000)
  assert.deepEqual([running(), track.delivers], [['audio'], 'partly'])
  camera.delivers = true
  await timers.pass(4000)
  assert.deepEqual([running(), track.delivers], [['video+audio'], 'all'])
  assert.deepEqual(told.reports.slice(1), ['recovered the picture delivers again'])
  assert.equal(FakeMediaRecorder.probing.length, 0)
  await track.end()
})

test('where the sound is the cause the picture is recorded alone', async () => {
  const [camera, microphone] = sources()
  const { told } = await recordingOf(timers, camera, microphone)
  microphone.delivers = false
  await timers.pass(40_000)
  assert.deepEqual(running(), ['video'])
  assert.equal(told.reports.length, 1)
  microphone.delivers = true
  await timers.pass(4000)
  assert.deepEqual(running(), ['video+audio'])
})

test('sources that deliver nothing are reported once, tried again less and less often, and recorded when they are back', async () => {
  const [camera] = sources()
  const { track, told } = await recordingOf(timers, camera)
  await timers.pass(10_000)
  camera.delivers = false
  await timers.pass(15_000)
  assert.deepEqual([told.reports, track.delivers], [['stalled no data from picture'], 'none'])
  await timers.pass(3_600_000)
  assert.ok(FakeMediaRecorder.all.length > 5 && FakeMediaRecorder.all.length < 25, `${FakeMediaRecorder.all.length} parts in an hour`)
  assert.equal(told.reports.length, 1)
  camera.delivers = true
  await timers.pass(5000)
  assert.deepEqual([track.delivers, told.reports.slice(1)], ['all', ['recovered everything is recorded again']])
  await track.end()
  assert.deepEqual(told.clean.filter((clean) => !clean), [])
})

test('a picture that moves now and then begins few parts', async () => {
  const [camera, microphone] = sources()
  await recordingOf(timers, camera, microphone)
  for (let minute = 0; minute < 60; minute += 1) {
    camera.delivers = false
    await timers.pass(40_000)
    camera.delivers = true
    await timers.pass(20_000)
  }
  const parts = FakeMediaRecorder.all.filter(({ options }) => options.mimeType !== undefined).length
  assert.ok(parts < 50, `${parts} parts in an hour`)
})

test('a muted camera is no stall, and a pause is none', async () => {
  const [camera] = sources()
  const { track, told } = await recordingOf(timers, camera)
  camera.mute(true)
  await timers.pass(60_000)
  assert.deepEqual([told.reports, track.delivers, FakeMediaRecorder.all.length], [['muted video: fake'], 'none', 1])
  camera.mute(false)
  await timers.pass(5000)
  assert.equal(track.delivers, 'all')
  track.pause()
  await timers.pass(60_000)
  assert.equal(FakeMediaRecorder.all.length, 1)
})

test('a start of which nothing arrives fails, and one of which only the sound arrives begins with that', async () => {
  const [camera, microphone] = sources()
  camera.delivers = false
  const seen = nothingSeen()
  const starting = TrackRecording.start('webcam', { stream: streamOf(camera, microphone) }, hostOf(seen, timers))
  await timers.pass(10_000)
  const track = await starting
  assert.deepEqual([running(), seen.reports], [['audio'], []])
  track.release()
  await settled()
  assert.equal(seen.reports.length, 1)
  await track.end()

  microphone.delivers = false
  for (const stream of [streamOf(camera), streamOf(camera, microphone)]) {
    const failing = assert.rejects(TrackRecording.start('webcam', { stream }, hostOf(nothingSeen(), timers)), { code: 'capture-failed', message: /nothing arrives from the sources of webcam/ })
    await timers.pass(60_000)
    await failing
    assert.deepEqual([running(), FakeMediaRecorder.probing.length], [[], 0])
  }
})

test('a MediaRecorder whose stop event never comes is abandoned, and what it gave is closed as not clean', async () => {
  const [camera, microphone] = sources()
  FakeMediaRecorder.next = 'deaf'
  const { track, told } = await recordingOf(timers, camera, microphone)
  await timers.pass(3000)
  FakeMediaRecorder.next = 'record'
  microphone.end()
  await timers.pass(STOP_PATIENCE_MS + 2000)
  assert.deepEqual(running(), ['video'])
  assert.deepEqual(told.reports, ['device-lost audio: fake', 'recorder-failed MediaRecorder: it did not end when it was stopped'])
  FakeMediaRecorder.all[0]!.give('too late')
  FakeMediaRecorder.next = 'deaf'
  await track.nextPart()
  const ending = track.end()
  await timers.pass(STOP_PATIENCE_MS + 2000)
  await ending
  assert.deepEqual(told.clean, [false, true, false])
  assert.ok(!told.parts.join(' ').includes('too late'))
})

test('sound that is exactly zero for a minute is silent, and audible again at the first other sample', () => {
  const watch = new SilenceWatch()
  const changes = (from: number, to: number, level: 'zeros' | 'sound' | 'unknown') => {
    const seen: string[] = []
    for (let second = from; second < to; second += 1) {
      const change = watch.see(second * 1000, level)
      if (change !== null) seen.push(`${change} ${second}`)
    }
    return seen
  }
  assert.deepEqual(changes(0, 59, 'zeros'), [])
  assert.deepEqual(changes(59, 60, 'sound'), [])
  assert.deepEqual(changes(60, 100, 'zeros'), [])
  // A muted source is no silent one, nor is a context that does not run.
  assert.deepEqual(changes(100, 300, 'unknown'), [])
  assert.deepEqual(changes(300, 500, 'zeros'), ['silent 360'])
  assert.deepEqual(changes(500, 502, 'unknown'), [])
  assert.deepEqual(changes(502, 504, 'sound'), ['audible 502'])
})
