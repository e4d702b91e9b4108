import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { findFfmpeg } from '@longtake/testkit'
import pLimit from 'p-limit'
import { contentOf, finalizedState, madeFile, probe, program, recordingFile, setUp, store } from './support.ts'

const requested = [{ track: 'webcam', kind: 'mp4' as const, file: 0 }]

for (const [name, codecs] of [['chrome-webcam-vp9-opus', ['V_VP9', 'A_OPUS']], ['firefox-webcam-vp8', ['V_VP8', 'A_OPUS']]] as const) {
  test(`${name}: a viewer who asked gets H.264 and AAC with all frames`, async () => {
    using system = setUp()
    const file = recordingFile(name, [...codecs], 20_000)
    const state = finalizedState([file], { requested })
    await store(system.blobs, state, [file])
    await system.see(state)
    await system.idle()
    assert.deepEqual(system.events.map((event) => [event.type, 'kind' in event && event.kind]), [['rendition-ready', 'poster'], ['rendition-ready', 'mp4']])
    const made = probe(await contentOf(system, 'exam-17/renditions/1/webcam/0.mp4'))
    const recorded = probe(file.bytes)
    assert.deepEqual(made.streams.map(({ codec_name }) => codec_name), ['h264', 'aac'])
    const frames = ({ streams }: typeof made): number => Number(streams.find(({ codec_type }) => codec_type === 'video')?.nb_read_packets)
    assert.equal(frames(made), frames(recorded))
  })
}

test('a picture of odd size is encoded, too', async () => {
  using system = setUp()
  const source = ['-f', 'lavfi', '-i', 'testsrc=duration=1:size=321x241:rate=20']
  const file = madeFile(['V_VP8'], [...source, '-c:v', 'libvpx'])
  const state = finalizedState([file], { requested })
  await store(system.blobs, state, [file])
  await system.see(state)
  await system.idle()
  const [stream] = probe(await contentOf(system, 'exam-17/renditions/1/webcam/0.mp4')).streams
  assert.deepEqual([stream?.codec_name, stream?.width, stream?.height], ['h264', 320, 240])
})

test('where MP4 is not made on request, a viewer who asks learns that', async () => {
  using system = setUp({ mp4Policy: 'needed' })
  const file = recordingFile('chrome-screen-vp9', ['V_VP9'])
  const state = finalizedState([file], { requested })
  await store(system.blobs, state, [file])
  await system.see(state)
  assert.match(JSON.stringify(system.events.at(-1)), /rendition-failed.*not made on request/)
})

/** A system whose encodings do not begin before there is a file at the gate. */
function withGate(folder: { tempDir: string }) {
  const gate = join(folder.tempDir, 'gate')
  const waiting = `touch ${folder.tempDir}/encoding; until [ -e ${gate} ]; do sleep 0.05; done`
  const ffmpeg = program(folder, `case "$*" in *libx264*) ${waiting};; esac; exec ${findFfmpeg()} "$@"`)
  return { gate, encoding: join(folder.tempDir, 'encoding'), system: setUp({ ffmpeg, coverage: 'all' }) }
}

test('an encoding holds up no poster and no decoding of another session, and its record is done after it', async () => {
  using folder = setUp()
  const { gate, system } = withGate(folder)
  using _ = system
  const file = recordingFile('chrome-screen-vp9', ['V_VP9'])
  const asked = finalizedState([file], { requested })
  const other = finalizedState([file], { session: 'exam-18' })
  for (const state of [asked, other]) await store(system.blobs, state, [file])
  await system.see(asked)
  await system.see(other)
  await system.until('the other session is done', () => system.done === 1)
  const seen = (): string[] => system.events.map((event) => `${event.session} ${event.type} ${'kind' in event ? event.kind : ''}`.trim())
  assert.deepEqual(seen().sort(), ['exam-17 file-decoded', 'exam-17 rendition-ready poster', 'exam-18 file-decoded', 'exam-18 rendition-ready poster'])
  await writeFile(gate, '')
  await system.idle()
  assert.deepEqual([seen().at(-1), system.events.length, system.done], ['exam-17 rendition-ready mp4', 5, 2])
})

test('a newer status of a session whose encoding waits takes its place, and encodes nothing twice', async () => {
  using folder = setUp()
  const { gate, system } = withGate(folder)
  using _ = system
  const file = recordingFile('chrome-screen-vp9', ['V_VP9'])
  const states = ['exam-17', 'exam-18'].map((session) => finalizedState([file], { session, requested }))
  for (const state of states) await store(system.blobs, state, [file])
  for (const state of [states[0]!, states[1]!, states[1]!, states[0]!]) await system.see(state)
  await system.until('the older status of the one that waits is done', () => system.done === 1)
  await writeFile(gate, '')
  await system.idle()
  const made = system.events.filter((event) => event.type === 'rendition-ready' && event.kind === 'mp4').map(({ session }) => session)
  assert.deepEqual(made.sort(), ['exam-17', 'exam-18'])
})

test('a stop ends an encoding at once, and leaves its record to the next', async () => {
  using folder = setUp()
  const { encoding, system } = withGate(folder)
  using _ = system
  const file = recordingFile('chrome-screen-vp9', ['V_VP9'])
  const state = finalizedState([file], { requested })
  await store(system.blobs, state, [file])
  await system.see(state)
  while (!existsSync(encoding)) await turn()
  await system.partition.close()
  assert.deepEqual([system.done, system.events.filter((event) => 'kind' in event && event.kind === 'mp4'), system.leftovers()], [0, [], []])
})

test('a partition that waits for a slot, which others have, is revoked at once', { timeout: 60_000 }, async () => {
  const [encodeAtOnce, decodeAtOnce] = [pLimit(1), pLimit(1)]
  const busy = Promise.withResolvers<void>()
  const others = [encodeAtOnce, decodeAtOnce].map((slots) => slots(() => busy.promise))
  using system = setUp({ coverage: 'all', encodeAtOnce, decodeAtOnce })
  const file = recordingFile('chrome-screen-vp9', ['V_VP9'])
  const state = finalizedState([file], { requested })
  await store(system.blobs, state, [file])
  await system.see(state)
  await system.partition.close()
  busy.resolve()
  await Promise.all(others)
  assert.deepEqual([encodeAtOnce.pendingCount, decodeAtOnce.pendingCount, system.done], [0, 0, 0])
})
