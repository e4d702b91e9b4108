import { RecorderError, type TrackOptions } from '../api.ts'
import type { Bitrates } from './capture.ts'
import { chooseMimeType, kindsOf } from './media-type.ts'

export const DEFAULT_BITRATES: Bitrates = { videoBitsPerSecond: 2_500_000, audioBitsPerSecond: 64_000 }

export function bitratesOf({ videoBitsPerSecond, audioBitsPerSecond }: Partial<Bitrates>): Bitrates {
  return { videoBitsPerSecond: videoBitsPerSecond ?? DEFAULT_BITRATES.videoBitsPerSecond, audioBitsPerSecond: audioBitsPerSecond ?? DEFAULT_BITRATES.audioBitsPerSecond }
}

/** @throws RecorderError `invalid-options`, `unsupported-media` */
export function assertRecordable(name: string, { stream }: Pick<TrackOptions, 'stream'>): void {
  const live = stream.getTracks().filter(({ readyState }) => readyState === 'live')
  if (live.length === 0) throw new RecorderError('invalid-options', `the stream of ${name} has nothing that could be recorded: its tracks have ended, or it has none`)
  const mimeType = chooseMimeType(kindsOf(live), (type) => MediaRecorder.isTypeSupported(type))
  if (mimeType === undefined) throw new RecorderError('unsupported-media', 'this browser records neither WebM nor MP4 from this stream')
}
