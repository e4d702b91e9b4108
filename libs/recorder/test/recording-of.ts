import type { RecorderError } from '../src/api.ts'
import { TrackRecording, type TrackHost } from '../src/capture/track-recording.ts'
import type { Spool } from '../src/spool/spool.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { streamOf, type FakeSource, type FakeTimers } from './media-fakes.ts'

export interface Seen {
  reports: string[]
  errors: RecorderError[]
  ended: number
  /** Of each part in the order of their closing: what was spooled. */
  parts: string[]
  /** Of each of them: whether that is all of it. */
  clean: boolean[]
}

export const nothingSeen = (): Seen => ({ reports: [], errors: [], ended: 0, parts: [], clean: [] })

/** A spool that remembers texts. */
export function hostOf(seen: Seen, timers: FakeTimers): TrackHost {
  const chunks = new Map<string, string>()
  const spool = {
    addPart: () => Promise.resolve(),
    addChunk: ({ part, payload }: { part: string; payload: ArrayBuffer }): Promise<void> => {
      chunks.set(part, `${chunks.get(part) ?? ''}${new TextDecoder().decode(payload)} `)
      return Promise.resolve()
    },
    closePart: (part: string, { clean }: { clean: boolean }) => {
      seen.parts.push((chunks.get(part) ?? '').trim())
      seen.clean.push(clean)
      return Promise.resolve()
    },
  } as unknown as Spool
  return {
    session: new UploadSession(),
    spool,
    timers: timers.worker,
    perform: () => undefined,
    error: (error) => void seen.errors.push(error),
    report: (event, _track, detail) => void seen.reports.push(detail === undefined ? event : `${event} ${detail}`),
    ended: () => void (seen.ended += 1),
  }
}

/** A track of these sources that is being recorded. */
export async function recordingOf(timers: FakeTimers, ...sources: FakeSource[]): Promise<{ track: TrackRecording; told: Seen }> {
  const told = nothingSeen()
  const track = await TrackRecording.start('webcam', { stream: streamOf(...sources) }, hostOf(told, timers))
  track.release()
  return { track, told }
}
