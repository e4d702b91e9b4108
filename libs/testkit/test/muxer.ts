import { concat } from '../src/bytes.ts'
import { blockBody, element, elementId, elementSize, float, master, text, uint } from '../src/elements.ts'
import type { TrackInfo } from '../src/frames.ts'

/** A frame to be written; times in ms on the file's timeline. */
export interface FrameToWrite {
  track: number
  timeMs: number
  key: boolean
  data: Uint8Array
  additions?: Uint8Array
}

export interface CueToWrite {
  time: number
  track: number
  clusterPosition: number
  relativePosition: number
}

/** What a test may bend. */
export interface FileToWrite {
  tracks: readonly TrackInfo[]
  frames: readonly FrameToWrite[]
  /** Default: the end of the last frame, as far as the distance to the one before tells. */
  durationMs?: number | null
  clusterEveryMs?: number
  bendCues?: (cues: CueToWrite[]) => CueToWrite[]
  cuesAtEnd?: boolean
  docType?: string
  headerBytes?: number
}

interface Written {
  bytes: Uint8Array
  cues: CueToWrite[]
}

/** Writes a small finished WebM: fixed header space, Cues in front, clusters of known size. */
export function mux(file: FileToWrite): Uint8Array {
  const ebml = master(0x1a45dfa3, [
    uint(0x4286, 1), uint(0x42f7, 1), uint(0x42f2, 4), uint(0x42f3, 8), text(0x4282, file.docType ?? 'webm'), uint(0x4287, 4), uint(0x4285, 2),
  ])
  const headerBytes = file.headerBytes ?? 8192
  const tracks = master(0x1654ae6b, file.tracks.map(trackEntry))
  const clusters = writeClusters(file, headerBytes)
  const info = master(0x1549a966, [
    uint(0x2ad7b1, 1_000_000), ...(file.durationMs === null ? [] : [float(0x4489, file.durationMs ?? endOf(file.frames))]), text(0x4d80, 'test'), text(0x5741, 'test'),
  ])
  const cues = writeCues((file.bendCues ?? ((all) => all))(clusters.cues))
  const seekHead = (positions: [number, number][]): Uint8Array =>
    master(0x114d9b74, positions.map(([id, position]) => master(0x4dbb, [element(0x53ab, elementId(id)), uint(0x53ac, position, 4)])))
  const seekBytes = seekHead([[0x1549a966, 0], [0x1654ae6b, 0], [0x1c53bb6b, 0]]).length
  const cuesAt = file.cuesAtEnd === true ? headerBytes + clusters.bytes.length : seekBytes + info.length + tracks.length
  const seek = seekHead([[0x1549a966, seekBytes], [0x1654ae6b, seekBytes + info.length], [0x1c53bb6b, cuesAt]])
  const front = concat([seek, info, tracks, ...(file.cuesAtEnd === true ? [] : [cues])])
  if (front.length + 9 > headerBytes) throw new Error(`the header takes ${front.length} bytes`)
  const space = element(0xec, new Uint8Array(headerBytes - front.length - 9), 8)
  const content = concat([front, space, clusters.bytes, ...(file.cuesAtEnd === true ? [cues] : [])])
  return concat([ebml, elementId(0x18538067), elementSize(content.length, 8), content])
}

function trackEntry(track: TrackInfo): Uint8Array {
  return master(0xae, [
    uint(0xd7, track.number), uint(0x73c5, track.number), uint(0x83, track.kind === 'video' ? 1 : 2), text(0x86, track.codec),
    ...(track.codecPrivate.length > 0 ? [element(0x63a2, track.codecPrivate)] : []),
    ...(track.codecDelay > 0 ? [uint(0x56aa, track.codecDelay)] : []),
    ...(track.seekPreRoll > 0 ? [uint(0x56bb, track.seekPreRoll)] : []),
    track.kind === 'video' ? master(0xe0, [uint(0xb0, 640), uint(0xba, 480)]) : master(0xe1, [float(0xb5, track.samplingFrequency), uint(0x9f, track.channels)]),
  ])
}

function writeClusters({ frames, tracks, clusterEveryMs = 1000 }: FileToWrite, headerBytes: number): Written {
  const video = tracks.find(({ kind }) => kind === 'video')?.number
  const groups: FrameToWrite[][] = []
  for (const frame of frames) {
    const group = groups.at(-1)
    if (group === undefined || frame.timeMs - (group[0] as FrameToWrite).timeMs >= clusterEveryMs) groups.push([frame])
    else group.push(frame)
  }
  const clusters: Uint8Array[] = []
  const cues: CueToWrite[] = []
  let position = headerBytes
  for (const group of groups) {
    const start = Math.round(Math.min(...group.map(({ timeMs }) => timeMs)))
    const children = [uint(0xe7, start)]
    let relativePosition = children[0]?.length ?? 0
    for (const frame of group) {
      const block = writeBlock(frame, start)
      const time = Math.round(frame.timeMs)
      const distance = video === undefined ? 5000 : 500
      if (frame.key && (video === undefined || frame.track === video) && time - (cues.at(-1)?.time ?? Number.NEGATIVE_INFINITY) >= distance) {
        cues.push({ time, track: frame.track, clusterPosition: position, relativePosition })
      }
      children.push(block)
      relativePosition += block.length
    }
    const cluster = master(0x1f43b675, children, 8)
    clusters.push(cluster)
    position += cluster.length
  }
  return { bytes: concat(clusters), cues }
}

function writeBlock({ track, timeMs, key, data, additions }: FrameToWrite, clusterTime: number): Uint8Array {
  const relative = Math.round(timeMs) - clusterTime
  if (additions === undefined || additions.length === 0) return element(0xa3, blockBody(track, relative, key ? 0x80 : 0, data), 4)
  return master(0xa0, [element(0xa1, blockBody(track, relative, 0, data)), ...(key ? [] : [uint(0xfb, 1)]), element(0x75a1, additions)], 4)
}

function writeCues(cues: readonly CueToWrite[]): Uint8Array {
  return master(0x1c53bb6b, cues.map(({ time, track, clusterPosition, relativePosition }) =>
    master(0xbb, [uint(0xb3, time), master(0xb7, [uint(0xf7, track), uint(0xf1, clusterPosition), uint(0xf0, relativePosition)])]),
  ))
}

function endOf(frames: readonly FrameToWrite[]): number {
  return frames.reduce((end, { timeMs }) => Math.max(end, timeMs + 20), 0)
}
