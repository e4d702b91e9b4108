import type { PartState } from '@longtake/contracts'
import { loadRecording } from '@longtake/testkit'
import { buildHeader, ClusterWriter, mapTracks, placeCues, StreamReader, type Cue, type FinishedCluster, type Frame, type PartHeader } from '@longtake/webm'

/** A recording as block-writer stores it: a header block, and blocks of whole clusters. */
export interface MediaFile {
  readonly blocks: readonly Uint8Array[]
  readonly durationMs: number
  /** What the status says of its only part. */
  readonly stated: Pick<PartState, 'startMs' | 'endMs' | 'media'>
}

/** The length of the recording, and a little more. */
const LASTS_MS = 15_010

export interface Change {
  keeps?: (frame: Frame) => boolean
  durationMs?: number
  cues?: (cue: Cue) => Cue
  clusters?: (bytes: Uint8Array, i: number, count: number) => Uint8Array
  /** How often the recording of 15 s and 1 MB is in the file, one after the other; once by default. */
  times?: number
  /** Clusters of a block; one by default. */
  clustersOfBlock?: number
}

/** @param change what is done to the header, or to the frames that get into the file, behind the back of what is stated */
export function mediaFile(change: Change = {}): MediaFile {
  const items = new StreamReader().push(Buffer.concat(loadRecording('chrome-webcam-vp9-keyframe-2s').chunks))
  const header = items.find((item) => item.kind === 'header')!.header
  const once = items.filter((item) => item.kind === 'frame')
  const all = Array.from({ length: change.times ?? 1 }, (_, i) => once.map((frame) => ({ ...frame, timeMs: frame.timeMs + i * LASTS_MS }))).flat()
  const clusters = clustersOf(header, all.filter(change.keeps ?? (() => true)))
  const typeOf = new Map(header.tracks.map(({ number, type }) => [number, type]))
  const of = (kind: 'video' | 'audio'): { frames: number; lastMs: number } => {
    const frames = all.filter(({ track }) => typeOf.get(track) === kind)
    return { frames: frames.length, lastMs: Math.max(...frames.map(({ timeMs }) => timeMs)) }
  }
  const durationMs = Math.max(...clustersOf(header, all).map(({ endMs }) => endMs))
  const cues: Cue[] = []
  let mediaBytes = 0
  for (const cluster of clusters) {
    cues.push(...placeCues(cluster.cues, mediaBytes))
    mediaBytes += cluster.bytes.length
  }
  const front = buildHeader({ tracks: header.tracks, durationMs: change.durationMs ?? durationMs, cues: change.cues === undefined ? cues : cues.map(change.cues), mediaBytes })
  const media = clusters.map(({ bytes }, i) => change.clusters?.(bytes, i, clusters.length) ?? bytes)
  const { clustersOfBlock = 1 } = change
  const blocks = media.flatMap((_, i) => (i % clustersOfBlock === 0 ? [Buffer.concat(media.slice(i, i + clustersOfBlock))] : []))
  return { blocks: [front, ...blocks], durationMs, stated: { startMs: 0, endMs: durationMs, media: { video: of('video'), audio: of('audio') } } }
}

function clustersOf(header: PartHeader, frames: readonly Frame[]): FinishedCluster[] {
  const writer = new ClusterWriter(header.tracks)
  const map = mapTracks(header, header)!
  const clusters = frames.map((frame) => writer.add(frame, { track: map.get(frame.track)!, offsetMs: 0 }))
  return [...clusters, writer.flush()].filter((cluster) => cluster !== null)
}
