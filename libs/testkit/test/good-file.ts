import { concat } from '../src/bytes.ts'
import { checkRecording, type CheckedPart, type RecordingVerdict } from '../src/check-recording.ts'
import { readRecordedPart } from '../src/recorder-output.ts'
import { loadRecording, recut, type RecordingName } from '../src/recordings.ts'
import { syntheticChunks, type SyntheticOptions } from '../src/synthetic.ts'
import { mux, type FileToWrite, type FrameToWrite } from './muxer.ts'

export const FIRST_START = Date.parse('2026-03-01T10:00:00.000Z')

export function part(name: string, chunks: readonly Uint8Array[] | ReadonlyMap<number, Uint8Array>, startsMs = 0): CheckedPart {
  return { part: name, startedAt: new Date(FIRST_START + startsMs).toISOString(), chunks }
}

export function chunkMap(chunks: readonly Uint8Array[], without: readonly number[] = []): Map<number, Uint8Array> {
  return new Map([...chunks.entries()].filter(([seq]) => !without.includes(seq)))
}

/** What a right writer would put into the file for these parts, each moved by so many ms. */
export function toWrite(parts: readonly { checked: CheckedPart; shiftMs: number }[]): FileToWrite & { frames: FrameToWrite[] } {
  const read = parts.map(({ checked, shiftMs }) => ({ shiftMs, ...readRecordedPart(new Map(checked.chunks instanceof Map ? checked.chunks : (checked.chunks as Uint8Array[]).entries())) }))
  const tracks = read[0]?.tracks ?? []
  const numberOf = (kind: string): number => tracks.find((track) => track.kind === kind)?.number ?? 0
  const frames = read.flatMap(({ shiftMs, frames: all }) =>
    all.map(({ kind, timeMs, key, data, additions }) => ({ track: numberOf(kind), timeMs: timeMs + shiftMs, key: kind === 'audio' || key, data, additions })),
  )
  return { tracks, frames }
}

export interface Case {
  parts: CheckedPart[]
  file: FileToWrite & { frames: FrameToWrite[] }
}

export function fixtureCase(name: RecordingName, seed?: number): Case {
  const { chunks } = loadRecording(name)
  const one = part(name, seed === undefined ? chunks : recut(concat(chunks), seed))
  return { parts: [one], file: toWrite([{ checked: one, shiftMs: 0 }]) }
}

export function syntheticCase(options: Partial<SyntheticOptions> = {}): Case {
  const one = part('p1', syntheticChunks({ durationMs: 12_000, bytesPerSecond: 20_000, seed: 1, ...options }))
  return { parts: [one], file: toWrite([{ checked: one, shiftMs: 0 }]) }
}

/** Two parts, the second one started 15 s after the first, with its tracks numbered the other way round. */
export function twoPartCase(): Case {
  const first = part('p1', syntheticChunks({ durationMs: 6_000, bytesPerSecond: 20_000, seed: 1 }))
  const second = part('p2', syntheticChunks({ durationMs: 6_000, bytesPerSecond: 20_000, seed: 2, tracks: ['audio', 'video'] }), 15_000)
  return { parts: [first, second], file: toWrite([{ checked: first, shiftMs: 0 }, { checked: second, shiftMs: 15_000 }]) }
}

export function judge({ parts, file }: Case, bend: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes): RecordingVerdict {
  return checkRecording({ file: bend(mux(file)), parts })
}

/** The codes found, each once, sorted. */
export function codes({ findings }: Pick<RecordingVerdict, 'findings'>): string[] {
  return [...new Set(findings.map(({ code }) => code))].toSorted()
}
