import type { RecorderProgress } from '../api.ts'
import { LOAD_STEPS, LoadPolicy } from './load-policy.ts'

const LOOK_EVERY_MS = 1000
const PRESSURE_EVERY_MS = 2000
const DEFAULT_BITS_PER_SECOND = 2_564_000

export interface KeepUpOptions {
  /** Of the recorder. */
  track: string
  /** The one that the track records. Its picture's constraints are changed. */
  stream: MediaStream
  /** What the recorder was asked for, picture and sound together; default 2,564,000, the sum of the recorder's own defaults. */
  bitsPerSecond?: number
  /** Called after each change, and where the browser refused one. */
  changed?: (change: LoadChange) => void
}

export interface LoadChange {
  /** `calm`: for five minutes neither. `cpu`: this computer does not keep up. `bitrate`: more than twice the bits come that were asked for. */
  reason: 'cpu' | 'bitrate' | 'calm'
  /** What the source is asked for now; null where the browser refused. */
  asked: { frameRate: number; width: number; height: number } | null
  measuredBitsPerSecond: number | null
}

/** What it needs of a `Recorder`. */
interface Recording {
  readonly progress: RecorderProgress
}

/** Not in all browsers, and of camera and screen only (Media Capture Extensions, `MediaStreamTrack.stats`). */
interface TrackStats {
  totalFrames?: number
  discardedFrames?: number
}

type PressureObserverClass = new (seen: (records: { state: string }[]) => void) => { observe(source: string, options: object): Promise<void>; disconnect(): void }

/**
 * Asks a track's source for fewer and then smaller pictures while the computer does not keep up with them, or the browser ignores the
 * bitrate, and for more again step by step when five minutes were calm.
 * @returns ends that, and leaves the source as it is
 */
export function keepUp(recorder: Recording, { track, stream, bitsPerSecond = DEFAULT_BITS_PER_SECOND, changed }: KeepUpOptions): () => void {
  const [picture] = stream.getVideoTracks()
  if (picture === undefined) return () => undefined
  const { frameRate = 30, width = 0, height = 0 } = picture.getSettings()
  const given = picture.getConstraints()
  const policy = new LoadPolicy(bitsPerSecond)
  const pressure = watchPressure()
  let step = 0
  let isChanging = false

  const change = async (reason: LoadChange['reason'], to: number): Promise<void> => {
    const { frames, size } = LOAD_STEPS[to]!
    const asked = { frameRate: Math.max(1, Math.round(frameRate * frames)), width: Math.round(width * size), height: Math.round(height * size) }
    const measuredBitsPerSecond = policy.measuredBitsPerSecond
    isChanging = true
    const isDone = await picture.applyConstraints({ ...given, ...constraintsOf(asked) }).then(() => true, () => false)
    isChanging = false
    policy.changed()
    // A step that is refused is not tried again and again.
    step = to
    changed?.({ reason, asked: isDone ? asked : null, measuredBitsPerSecond })
  }

  const look = setInterval(() => {
    if (picture.readyState === 'ended') return end()
    if (isChanging) return
    const recordedBytes = recorder.progress[track]?.recorded.bytes ?? 0
    const verdict = policy.see({ now: performance.now(), recordedBytes, frames: framesOf(picture), isCpuCritical: pressure.isCritical() })
    if (verdict === 'calm' && step > 0) void change(verdict, step - 1)
    else if (verdict !== null && verdict !== 'calm' && step < LOAD_STEPS.length - 1) void change(verdict, step + 1)
  }, LOOK_EVERY_MS)
  const end = (): void => {
    clearInterval(look)
    pressure.end()
  }
  return end
}

function constraintsOf({ frameRate, width, height }: NonNullable<LoadChange['asked']>): MediaTrackConstraints {
  return { frameRate: { max: frameRate }, ...(width > 0 && height > 0 ? { width: { max: width }, height: { max: height } } : {}) }
}

function framesOf(picture: MediaStreamTrack): { total: number; dropped: number } | null {
  const { totalFrames, discardedFrames } = (picture as MediaStreamTrack & { stats?: TrackStats }).stats ?? {}
  return totalFrames === undefined || discardedFrames === undefined ? null : { total: totalFrames, dropped: discardedFrames }
}

/** By the Compute Pressure API, where there is one: Chrome and Edge from 125 on, in secure contexts. */
function watchPressure(): { isCritical(): boolean; end(): void } {
  const Observer = (globalThis as { PressureObserver?: PressureObserverClass }).PressureObserver
  let state = ''
  const observer = Observer === undefined ? null : new Observer((records) => (state = records.at(-1)?.state ?? state))
  // A page that may not observe it has the frames alone.
  observer?.observe('cpu', { sampleInterval: PRESSURE_EVERY_MS }).catch(() => undefined)
  return { isCritical: () => state === 'critical', end: () => observer?.disconnect() }
}
