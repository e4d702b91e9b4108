import { join } from 'node:path'
import type { EventOf, UndecodableSpan } from '@longtake/contracts'
import type { LimitFunction } from 'p-limit'
import { type RunOutcome, runWithFrameTimes } from './ffmpeg.ts'
import { listedFrames, type ListedStream, matroskaPackets, type PacketStream } from './frame-times.ts'
import { containerOf, type SealedFile, type SourceFile } from './plan.ts'
import { download, GONE, inputOf, type Renderer, sizeOf } from './render.ts'
import { type DecodedTrack, undecodableSpans } from './undecodable.ts'
import { openWorkspace } from './workspace.ts'

export type Coverage = EventOf<'file-decoded'>['coverage']
export type Decoding = Pick<EventOf<'file-decoded'>, 'coverage' | 'undecodable' | 'reason'>

export interface Decoder extends Pick<Renderer, 'store' | 'ffmpeg' | 'timeLimitMs' | 'tempDir' | 'runBytes'> {
  /** How much of each file is decoded. */
  coverage: Coverage
  /** Bounds how many run at once in this process. */
  atOnce: LimitFunction
}

/** A list of frames: about 60 bytes for each of 200 frames a second. */
const LIST_BYTES_PER_MS = 12
const LIST_BYTES = 4 * 1024 ** 2

/**
 * Decodes a sealed file as a player would, and compares the frames that come out with the packets in it. Damage that a
 * codec cannot detect is not found: Opus plays nearly any bytes. Rejects when storage, the disk or ffmpeg cannot be
 * reached: that says nothing about the recording, and is to be repeated.
 */
export async function decodeFile(
  decoder: Decoder,
  source: SourceFile,
  sealed: SealedFile,
  signal: AbortSignal,
): Promise<Decoding> {
  const listBytes = Math.ceil(sealed.durationMs * LIST_BYTES_PER_MS) + LIST_BYTES
  const neededBytes = sealed.bytes + 2 * listBytes
  if (neededBytes > decoder.runBytes)
    return unknown(
      `decoding needs ${neededBytes} bytes of temporary space, ` +
        `and a run may take ${decoder.runBytes} (LONGTAKE_REMUXER_TEMP_BYTES)`,
    )
  await using workspace = await openWorkspace(decoder.tempDir, neededBytes)
  if (!(await download(decoder, sealed, sealed.bytes, join(workspace.path, 'input'), signal))) return unknown(GONE)
  let reason: string | undefined
  for (const coverage of ['all', 'keyframes'] as const) {
    if (coverage === 'all' && decoder.coverage !== 'all') continue
    const run = await decode(decoder, { source, coverage, listBytes, cwd: workspace.path }, signal)
    const listedBytes = await Promise.all(LISTS.map((list) => sizeOf(join(workspace.path, list))))
    if (listedBytes.some((bytes) => bytes >= listBytes))
      return unknown('the file has more frames than its length allows')
    if (run.outcome === 'done') {
      // Whatever a decoder does not show it complains about; most recordings end here.
      const isSound = run.messages.trim() === ''
      const undecodable = isSound ? [] : await compared(source, sealed.durationMs, coverage, workspace.path)
      return { coverage, undecodable, ...(reason === undefined ? {} : { reason }) }
    }
    if (!run.isOverTime) {
      const isUnreadable = UNREADABLE.test(run.reason) && !LACKS_CODEC.test(run.reason) && listedBytes.at(-1) === 0
      if (!isUnreadable) return unknown(run.reason)
      return { coverage, undecodable: whole(source, sealed.durationMs), reason: run.reason }
    }
    reason = run.reason
  }
  return unknown(reason ?? 'decoding is switched off')
}

const unknown = (reason: string): Decoding => ({ coverage: 'none', undecodable: [], reason })

/** How ffmpeg refuses content; that it lacks a codec says nothing about the recording. */
const UNREADABLE = /Invalid data found when processing input|moov atom not found/
const LACKS_CODEC = /(Decoder|codec) .*not found|Unknown decoder/i

const whole = ({ codecs, mimeType }: SourceFile, durationMs: number): UndecodableSpan[] => {
  const hasVideo = codecs.length > 0 ? codecs.some((codec) => codec.startsWith('V_')) : mimeType.startsWith('video/')
  return [{ media: hasVideo ? 'video' : 'audio', startMs: 0, endMs: durationMs }]
}

/**
 * Chrome's own decoder finds twice as much damage in the middle of frames as ffmpeg's, which is left for builds without
 * it, for profiles that it lacks, and because it cannot skip frames.
 */
const VP9_DECODER = ['-c:v', 'libvpx-vp9']
const VP9_REFUSED = /Unknown decoder 'libvpx-vp9'|Bitstream not supported by this decoder/

interface DecodingRun {
  source: SourceFile
  coverage: 'all' | 'keyframes'
  /** Bound of each list. */
  listBytes: number
  cwd: string
}

async function decode({ ffmpeg, timeLimitMs }: Decoder, of: DecodingRun, signal: AbortSignal): Promise<RunOutcome> {
  const run = (decoder: readonly string[]): Promise<RunOutcome> =>
    runWithFrameTimes(ffmpeg, 'passthrough', { cwd: of.cwd, timeLimitMs, signal }, (frameTimes) =>
      decodingArgs(of, frameTimes, decoder),
    )
  if (!of.source.codecs.includes('V_VP9') || of.coverage !== 'all') return run([])
  const outcome = await run(VP9_DECODER)
  return outcome.outcome === 'failed' && VP9_REFUSED.test(outcome.reason) ? run([]) : outcome
}

/** What is written beside the input: packets as the container has them (of MP4 only), and frames. */
const LISTS = ['packets', 'frames']
const STREAMS = ['-map', '0:v?', '-map', '0:a?']
/**
 * One thread costs the least in all. Without the loop filter pictures look worse and errors are found as well.
 * `explode` makes a decoder give no frame instead of one that it made up.
 */
const DECODE =
  '-v error -threads 1 -err_detect explode -flags2 +skip_manual -skip_loop_filter all -max_error_rate 1 -copyts'
/** `wrapped_avframe` makes the list of frames cost nothing per pixel. */
const FRAMES = '-c:v wrapped_avframe -enc_time_base:v 1:1000 -c:a pcm_s16le'

function decodingArgs(
  { source, coverage, listBytes }: DecodingRun,
  frameTimes: readonly string[],
  vp9Decoder: readonly string[],
): string[] {
  const pictures = coverage === 'keyframes' ? ['-discard:v', 'nokey', '-skip_frame', 'nokey'] : []
  const list = (name: string): string[] => ['-f', 'framecrc', '-fs', String(listBytes), `file:${name}`]
  const packets = containerOf(source) === 'mp4' ? [...STREAMS, '-c', 'copy', ...list('packets')] : []
  const frames = [...STREAMS, ...FRAMES.split(' '), ...frameTimes, ...list('frames')]
  return [...DECODE.split(' '), ...pictures, ...vp9Decoder, ...inputOf({ source }), ...packets, ...frames]
}

async function compared(
  source: SourceFile,
  durationMs: number,
  coverage: 'all' | 'keyframes',
  cwd: string,
): Promise<UndecodableSpan[]> {
  const packets =
    containerOf(source) === 'mp4'
      ? (await listedFrames(join(cwd, 'packets'))).filter(isMedia)
      : await matroskaPackets(join(cwd, 'input'))
  const frames = await listedFrames(join(cwd, 'frames'))
  const tracks = packets.map((stream, i): DecodedTrack => {
    const decoded = coverage === 'keyframes' ? stream.packets.filter(({ isKey }) => isKey) : stream.packets
    return { media: stream.media, packets: decoded, frames: (frames[i]?.packets ?? []).map(({ ms }) => ms) }
  })
  return undecodableSpans(tracks, durationMs)
}

const isMedia = (stream: ListedStream): stream is PacketStream => stream.media === 'video' || stream.media === 'audio'
