import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from './random.ts'

/** Real recordings, as the browsers cut them; `fixtures/media/README.md` says what is special about each. */
export const recordingNames = [
  'chrome-audio-only',
  'chrome-mp4',
  'chrome-requestdata-one-byte-chunks',
  'chrome-screen-vp9',
  'chrome-webcam-paused',
  'chrome-webcam-vp9-keyframe-2s',
  'chrome-webcam-vp9-opus',
  'firefox-webcam-vp8',
] as const

export type RecordingName = (typeof recordingNames)[number]

const mimeTypes: Record<RecordingName, string> = {
  'chrome-audio-only': 'audio/webm;codecs=opus',
  'chrome-mp4': 'video/mp4;codecs=vp9,opus',
  'chrome-requestdata-one-byte-chunks': 'video/webm;codecs=vp9,opus',
  'chrome-screen-vp9': 'video/webm;codecs=vp9',
  'chrome-webcam-paused': 'video/webm;codecs=vp9,opus',
  'chrome-webcam-vp9-keyframe-2s': 'video/webm;codecs=vp9,opus',
  'chrome-webcam-vp9-opus': 'video/webm;codecs=vp9,opus',
  'firefox-webcam-vp8': 'video/webm;codecs=vp8,opus',
}

export interface Recording {
  name: RecordingName
  mimeType: string
  /** The chunks of one MediaRecorder, in order. */
  chunks: Uint8Array[]
}

const mediaFolder = join(import.meta.dirname, '..', 'fixtures', 'media')

export function loadRecording(name: RecordingName): Recording {
  const folder = join(mediaFolder, name)
  const files = readdirSync(folder).filter((file) => file.endsWith('.bin')).toSorted()
  if (files.length === 0) throw new Error(`no chunks in ${folder}`)
  return { name, mimeType: mimeTypes[name], chunks: files.map((file) => new Uint8Array(readFileSync(join(folder, file)))) }
}

/** Cuts a byte stream at random places: single bytes, slivers and large pieces, none empty or above 1 MiB. */
export function recut(bytes: Uint8Array, seed: number): Uint8Array[] {
  const random = seededRandom(seed)
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const size = random.between(1, random.pick([1, 16, 512, 4_096, 32_768, 262_144]))
    chunks.push(bytes.slice(at, at + size))
    at += size
  }
  return chunks
}

export interface NumberedChunk {
  seq: number
  bytes: Uint8Array
}

export function numbered(chunks: readonly Uint8Array[]): NumberedChunk[] {
  return chunks.map((bytes, seq) => ({ seq, bytes }))
}

/** Every chunk at least once, about a third of them twice, in any order. */
export function shuffleWithDuplicates(chunks: readonly Uint8Array[], seed: number): NumberedChunk[] {
  const random = seededRandom(seed)
  const all = numbered(chunks)
  return random.shuffle([...all, ...all.filter(() => random.chance(1 / 3))])
}
