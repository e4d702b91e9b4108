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

/** @param change what is done to the header, or to the frames that get into the file, behind the back of what is stated */
export function mediaFile(change: { keeps?: (frame: Frame) => boolean; durationMs?: number; cues?: (cue: Cue) => Cue; clusters?: (bytes: Uint8Array, i: number) => Uint8Array } = {}): MediaFile {
  const items = new StreamReader().push(Buffer.concat(loadRecording('chrome-webcam-vp9-keyframe-2s').chunks))
  const header = items.find((item) => item.kind === 'header')!.header
  const all = items.filter((item) => item.kind === 'frame')
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
  const blocks = [front, ...clusters.map(({ bytes }, i) => change.clusters?.(bytes, i) ?? bytes)]
  return { blocks, durationMs, stated: { startMs: 0, endMs: durationMs, media: { video: of('video'), audio: of('audio') } } }
}

function clustersOf(header: PartHeader, frames: readonly Frame[]): FinishedCluster[] {
  const writer = new ClusterWriter(header.tracks)
  const map = mapTracks(header, header)!
  const clusters = frames.map((frame) => writer.add(frame, { track: map.get(frame.track)!, offsetMs: 0 }))
  return [...clusters, writer.flush()].filter((cluster) => cluster !== null)
}
