import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { TrackRecording } from '../src/capture/track-recording.ts'
import { FakeMediaRecorder, FakeSource, FakeTimers, installMediaFakes, settled, streamOf } from './media-fakes.ts'
import * as recordings from './recording-of.ts'

let timers: FakeTimers
beforeEach(() => {
  installMediaFakes()
  timers = new FakeTimers()
})
afterEach(() => timers.restore())

const hostOf = (seen: recordings.Seen) => recordings.hostOf(seen, timers)
const recordingOf = (...sources: FakeSource[]) => recordings.recordingOf(timers, ...sources)
const running = (): string[] => FakeMediaRecorder.running.map(({ kinds }) => kinds)

test('when the microphone is unplugged the camera goes on in a next part, and when all is gone the track has ended', async () => {
  const [camera, microphone] = [new FakeSource('video'), new FakeSource('audio')]
  const { track, told } = await recordingOf(camera, microphone)
  FakeMediaRecorder.all[0]?.give('both')
  microphone.end()
  await settled()
  assert.deepEqual(running(), ['video'])
  assert.deepEqual(told.reports, ['device-lost audio: fake'])
  camera.end()
  await settled()
  assert.deepEqual(running(), [])
  assert.equal(told.ended, 1)
  assert.ok(track.hasEnded)
  assert.deepEqual(told.errors, [])
  await track.end()
  assert.deepEqual([told.ended, told.parts], [1, ['both last', 'last']])
})

test('a source that the page itself stops is no lost device', async () => {
  const [camera, microphone] = [new FakeSource('video'), new FakeSource('audio')]
  const { told } = await recordingOf(camera, microphone)
  microphone.stop()
  await timers.pass(1000)
  assert.deepEqual(running(), ['video'])
  camera.stop()
  await settled()
  assert.deepEqual([told.ended, told.reports], [1, []])
})

test('another stream is the next part, after an end too', async () => {
  const camera = new FakeSource('video')
  const { track, told } = await recordingOf(camera)
  await track.replace({ stream: streamOf(new FakeSource('video'), new FakeSource('audio')), videoBitsPerSecond: 1000 })
  assert.deepEqual(running(), ['video+audio'])
  assert.equal(FakeMediaRecorder.running[0]?.options.videoBitsPerSecond, 1000)
  // The one before is no longer looked at.
  camera.end()
  await settled()
  assert.deepEqual([told.ended, told.reports], [0, []])
  for (const source of FakeMediaRecorder.running[0]?.stream.getTracks() ?? []) source.end()
  await settled()
  assert.equal(told.ended, 1)
  await track.replace({ stream: streamOf(new FakeSource('video')) })
  assert.deepEqual(running(), ['video'])
  assert.equal(FakeMediaRecorder.running[0]?.options.videoBitsPerSecond, 1000)
  await track.end()
  assert.equal(told.ended, 2)
  assert.equal(told.parts.length, 3)
})

test('a stream without anything live is refused, and nothing changes', async () => {
  const { track } = await recordingOf(new FakeSource('video'))
  const dead = new FakeSource('video')
  dead.stop()
  await assert.rejects(track.replace({ stream: streamOf(dead) }), { code: 'invalid-options' })
  await assert.rejects(TrackRecording.start('screen', { stream: streamOf() }, hostOf(recordings.nothingSeen())), { code: 'invalid-options' })
  assert.deepEqual(running(), ['video'])
})

test('a muted camera is left out while there is sound, and comes back', async () => {
  const [camera, microphone] = [new FakeSource('video'), new FakeSource('audio')]
  const { told } = await recordingOf(camera, microphone)
  await timers.pass(10_000)
  camera.mute(true)
  await timers.pass(3000)
  assert.deepEqual(running(), ['audio'])
  await timers.pass(10_000)
  camera.mute(false)
  await timers.pass(3000)
  assert.deepEqual(running(), ['video+audio'])
  assert.deepEqual(told.reports, ['muted video: fake', 'unmuted video: fake'])
})

test('pictures of another size are another part, once they have settled', async () => {
  const camera = new FakeSource('video')
  const { told } = await recordingOf(camera)
  await timers.pass(10_000)
  for (let width = 650; width < 700; width += 10) {
    camera.settings = { width, height: 480 }
    await timers.pass(1000)
  }
  assert.equal(FakeMediaRecorder.all.length, 1)
  await timers.pass(3000)
  assert.equal(FakeMediaRecorder.all.length, 2)
  assert.deepEqual(told.reports, ['source-changed video: 640×480 → 690×480'])
})

test('a failed recorder is followed by another, in growing waits; at last it is an error, never a silent stop', async () => {
  const { track, told } = await recordingOf(new FakeSource('video'))
  FakeMediaRecorder.all[0]?.give('kept')
  FakeMediaRecorder.all[0]?.fail()
  await timers.pass(0)
  assert.deepEqual(running(), ['video'])
  assert.deepEqual(told.reports, ['recorder-failed MediaRecorder: the encoder died'])
  await timers.pass(120_000)
  FakeMediaRecorder.next = 'fail'
  FakeMediaRecorder.running[0]?.fail()
  await timers.pass(10_000)
  assert.deepEqual([told.ended, told.errors.length], [0, 0])
  FakeMediaRecorder.next = 'throw'
  await timers.pass(120_000)
  assert.deepEqual(told.errors.map(({ code }) => code), ['capture-failed'])
  assert.equal(told.ended, 1)
  assert.equal(told.reports.length, 7)
  FakeMediaRecorder.next = 'record'
  await track.replace({ stream: streamOf(new FakeSource('video')) })
  assert.deepEqual(running(), ['video'])
  await track.end()
  assert.equal(told.parts[0], 'kept')
  assert.deepEqual(told.clean, told.parts.map((_, i) => i === told.parts.length - 1), 'what a failed one gave is not proven to be all')
})

test('one that cannot be started at all is said to whoever started it, and to nobody else', async () => {
  for (const next of ['throw', 'fail'] as const) {
    FakeMediaRecorder.next = next
    const told = recordings.nothingSeen()
    await assert.rejects(TrackRecording.start('webcam', { stream: streamOf(new FakeSource('video')) }, hostOf(told)), { code: 'capture-failed' })
    await timers.pass(60_000)
    assert.deepEqual(told, { reports: [], errors: [], ended: 0, parts: [], clean: [] })
  }
})

test('a pause ends the part and resuming begins the next, of what there is by then', async () => {
  const [camera, microphone] = [new FakeSource('video'), new FakeSource('audio')]
  const { track, told } = await recordingOf(camera, microphone)
  assert.ok(track.pause())
  assert.ok(!track.pause())
  await settled()
  assert.deepEqual(running(), [])
  microphone.end()
  await timers.pass(60_000)
  assert.deepEqual(running(), [])
  assert.ok(track.resume())
  assert.ok(!track.resume())
  await settled()
  assert.deepEqual(running(), ['video'])
  await track.end()
  assert.deepEqual([told.parts, told.ended], [['last', 'last'], 1])
})

test('pause, resume and end at once leave nothing running and lose nothing', async () => {
  const { track, told } = await recordingOf(new FakeSource('video'))
  track.pause()
  track.resume()
  track.setVideoShare(0.5)
  await track.end()
  assert.deepEqual(running(), [])
  assert.equal(told.parts.length, FakeMediaRecorder.all.length)
})

test('pictures get another share of their bits in a next part; sound keeps its own', async () => {
  const { track } = await recordingOf(new FakeSource('video'), new FakeSource('audio'))
  track.setVideoShare(0.5)
  await settled()
  const [now] = FakeMediaRecorder.running
  assert.deepEqual([now?.options.videoBitsPerSecond, now?.options.audioBitsPerSecond], [1_250_000, 64_000])
})

test('codec, keyframe interval and chunk duration are as the options say, also for another stream', async () => {
  const start = mock.method(FakeMediaRecorder.prototype, 'start')
  const seen = recordings.nothingSeen()
  const options = { videoCodec: 'vp8', keyFrameIntervalMs: 5000, chunkMs: 500 } as const
  const track = await TrackRecording.start('webcam', { stream: streamOf(new FakeSource('video')), ...options }, hostOf(seen))
  track.release()
  await track.replace({ stream: streamOf(new FakeSource('video')), chunkMs: 2000 })
  assert.deepEqual(start.mock.calls.map(({ arguments: [timeslice] }) => timeslice), [500, 2000])
  for (const { options: given } of FakeMediaRecorder.all) {
    assert.deepEqual(given, { mimeType: 'video/webm;codecs=vp8', videoBitsPerSecond: 2_500_000, audioBitsPerSecond: 64_000, videoKeyFrameIntervalDuration: 5000 })
  }
  await track.end()
  start.mock.restore()
})

for (const wrong of [{ chunkMs: 12_000 }, { chunkMs: 100 }, { chunkMs: Number.NaN }, { keyFrameIntervalMs: 0 }]) {
  test(`options that make no sense are refused: ${JSON.stringify(wrong)}`, async () => {
    const stream = streamOf(new FakeSource('video'))
    await assert.rejects(TrackRecording.start('webcam', { stream, ...wrong }, hostOf(recordings.nothingSeen())), { code: 'invalid-options' })
  })
}

test('0 bytes are no chunk, and 50 MB at once are as many as it takes', async () => {
  const { track, told } = await recordingOf(new FakeSource('video'))
  const recorder = FakeMediaRecorder.running[0]
  const big = 'x'.repeat(50 * 1024 * 1024)
  recorder?.give('')
  recorder?.give(big)
  await track.end()
  assert.deepEqual(told.parts[0]?.split(' ').map(({ length }) => length), [...Array.from({ length: 50 }, () => 1024 * 1024), 4])
})
