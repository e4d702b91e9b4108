import type { Findings } from './findings.ts'
import type { FileFrame, FinishedFile } from './finished-file.ts'
import { nameOf } from './schema.ts'

const SHORTEST_CUE_DISTANCE_MS = 500
/** A cue this much behind its frame is a wrong time, not a missing cue. */
const CUE_SLACK_MS = 10
/** Audio alone is to have a cue every five seconds; a frame later is in time. */
const LONGEST_AUDIO_CUE_DISTANCE_MS = 5_500
const DURATION_TOLERANCE_MS = 100
/** A still picture lasts long, but how long its last frame lasts nobody knows: up to this it may be counted in. */
const LONGEST_LAST_FRAME_MS = 1_000

const seconds = (ms: number): string => `${(ms / 1000).toFixed(3)} s`

/** What a player needs besides the frames: duration, seek head, cues. */
export function checkIndex(file: FinishedFile, findings: Findings): void {
  checkSeekHead(file, findings)
  if (file.frames.length === 0) return
  checkDuration(file, findings)
  checkCues(file, findings)
}

function checkSeekHead(file: FinishedFile, findings: Findings): void {
  for (const { id, position } of file.seeks) {
    const at = file.segmentDataAt + position
    if (file.levelOne.get(at) !== id) findings.add('seek-position', `the SeekHead says that ${nameOf(id)} is at ${at}; it is not`, { at })
  }
}

/** The earliest and latest end that the last frame of any track can be said to have, in ms. */
export function endOfFrames(file: FinishedFile): { earliest: number; latest: number } {
  let earliest = 0
  let latest = 0
  for (const { number, defaultDuration } of file.tracks) {
    const frames = file.frames.filter(({ track }) => track === number)
    const last = frames.at(-1)
    if (last === undefined) continue
    // A camera on a busy machine gives several frames of one time.
    const distance = last.timeMs - (frames.findLast(({ timeMs }) => timeMs < last.timeMs)?.timeMs ?? last.timeMs)
    const lasts = Math.max(last.durationMs, defaultDuration / 1e6, Math.min(distance, LONGEST_LAST_FRAME_MS))
    earliest = Math.max(earliest, last.timeMs)
    latest = Math.max(latest, last.timeMs + lasts)
  }
  return { earliest, latest }
}

function checkDuration(file: FinishedFile, findings: Findings): void {
  const { earliest, latest } = endOfFrames(file)
  const told = file.durationMs
  if (told === null) findings.add('duration', 'the file has no duration')
  else if (!(told >= earliest && told <= latest + DURATION_TOLERANCE_MS)) {
    findings.add('duration', `the duration is ${seconds(told)}; the last frame begins at ${seconds(earliest)} and all end by ${seconds(latest)}`)
  }
}

function checkCues(file: FinishedFile, findings: Findings): void {
  const firstCluster = file.clusters[0]
  if (file.cues === null) return findings.add('cue-missing', 'the file has no Cues')
  if (firstCluster !== undefined && file.cues.at > firstCluster.at) findings.add('cue-missing', 'the Cues are behind the media', { at: file.cues.at })
  const clusterAt = new Map(file.clusters.map((cluster, index) => [cluster.at - file.segmentDataAt, index]))
  const frameAt = new Map(file.frames.map((frame) => [frame.at, frame]))
  const trackOf = new Map(file.tracks.map((track) => [track.number, track]))
  const hasVideo = file.frames.some(({ kind }) => kind === 'video')
  let before = -1
  for (const cue of file.cues.points) {
    const where = `the cue at ${cue.time}`
    if (hasVideo && trackOf.get(cue.track)?.kind !== 'video') findings.add('cue-track', `${where} is of track ${cue.track}, which is no video`)
    if (cue.time <= before) findings.add('cue-time', `${where} comes behind one at ${before}`)
    before = cue.time
    const clusterIndex = clusterAt.get(cue.clusterPosition)
    const cluster = clusterIndex === undefined ? undefined : file.clusters[clusterIndex]
    if (cluster === undefined) {
      findings.add('cue-cluster', `${where} points at offset ${cue.clusterPosition} of the Segment, where no cluster begins`)
      continue
    }
    const frame = cue.relativePosition === null ? undefined : frameAt.get(cluster.dataAt + cue.relativePosition)
    if (frame === undefined || frame.cluster !== clusterIndex || frame.track !== cue.track || !frame.key) {
      findings.add('cue-block', `${where} points at relative position ${cue.relativePosition} of the cluster at ${cluster.at}: no keyframe of track ${cue.track}`)
    } else if (Math.abs(frame.timeMs - (cue.time * file.timestampScale) / 1e6) > 0.5) {
      findings.add('cue-time', `${where} points at a frame at ${seconds(frame.timeMs)}`)
    }
  }
  checkCoverage(file, file.cues, hasVideo, findings)
}

function checkCoverage(file: FinishedFile, cues: { at: number; end: number; points: { time: number }[] }, hasVideo: boolean, findings: Findings): void {
  const wanted: FileFrame[] = file.frames.filter(({ kind, key }) => (hasVideo ? kind === 'video' && key : kind === 'audio'))
  const reach = hasVideo ? SHORTEST_CUE_DISTANCE_MS : LONGEST_AUDIO_CUE_DISTANCE_MS
  const times = cues.points.map(({ time }) => (time * file.timestampScale) / 1e6).toSorted((a, b) => a - b)
  let index = -1
  const without = wanted.filter(({ timeMs }) => {
    while (index + 1 < times.length && (times[index + 1] as number) <= timeMs + CUE_SLACK_MS) index += 1
    return index < 0 || timeMs - (times[index] as number) >= reach
  })
  const first = without[0]
  if (first === undefined || thinned(file, cues, wanted)) return
  findings.add('cue-missing', `${without.length} of ${wanted.length} ${hasVideo ? 'keyframes' : 'frames'} have no cue near, the first at ${seconds(first.timeMs)}`, {
    count: without.length, at: first.at,
  })
}

/** Cues may be left out evenly only where all of them would not fit into the header's fixed space. */
function thinned(file: FinishedFile, cues: { at: number; end: number; points: unknown[] }, wanted: readonly FileFrame[]): boolean {
  if (cues.points.length < 2) return false
  const bytesEach = (cues.end - cues.at) / cues.points.length
  const lastTime = wanted.at(-1)?.timeMs ?? 0
  const needed = Math.min(wanted.length, 1 + lastTime / SHORTEST_CUE_DISTANCE_MS)
  return needed * bytesEach > cues.end - cues.at + file.spareBytes
}
