import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { BlobStore } from '@longtake/blob'
import type { FileState } from '@longtake/contracts'
import type { LimitFunction } from 'p-limit'
import { runFfmpeg, type RunOutcome, runWithFrameTimes } from './ffmpeg.ts'
import { withSlot } from './with-slot.ts'
import { containerOf, type Mp4Policy, type PlannedRendition, type SealedFile } from './plan.ts'
import { upload } from './upload.ts'
import { openWorkspace } from './workspace.ts'

export type RenderOutcome =
  | { outcome: 'ready'; bytes: number }
  /** To try again would end alike. */
  | { outcome: 'failed'; reason: string }
  /** There is nothing to make it of, as a poster of sound. */
  | { outcome: 'pointless' }

export interface Renderer {
  store: BlobStore
  /** Path of the program. */
  ffmpeg: string
  /** Bounds how many posters and copies this process makes at once. */
  atOnce: LimitFunction
  /** The same for encodings, which take minutes. */
  encodeAtOnce: LimitFunction
  timeLimitMs: number
  tempDir: string
  /** What one run may put there. */
  runBytes: number
  mp4Policy: Mp4Policy
}

/** A poster is looked for within so much of the recording's beginning. */
const POSTER_BYTES = 64 * 1024 ** 2
const POSTER_AT = 0.1
/** A JPEG of 1280 pixels' width is far below. */
const MAX_POSTER_BYTES = 8 * 1024 ** 2
/** A screen's width is enough for a picture that stands for a recording. */
const POSTER_WIDTH = 1280

/**
 * Makes one rendition of a sealed file and puts it into storage; one that is there already is left as it is. Rejects
 * when storage, the disk or ffmpeg cannot be reached: that says nothing about the recording, and is to be repeated.
 */
export async function render(renderer: Renderer, planned: PlannedRendition, sealed: SealedFile, signal: AbortSignal): Promise<RenderOutcome> {
  if (planned.codecs === 'refused') return { outcome: 'failed', reason: NOT_ON_REQUEST }
  const existing = await renderer.store.properties(planned.blob, { signal })
  if (existing !== null) return { outcome: 'ready', bytes: existing.bytes }
  const slots = planned.codecs === 'encoded' ? renderer.encodeAtOnce : renderer.atOnce
  return withSlot(slots, signal, async () => {
    switch (planned.kind) {
      case 'poster':
        return renderPoster(renderer, planned, sealed, signal)
      case 'mp4':
        return renderMp4(renderer, planned, sealed, signal)
    }
  })
}

async function renderPoster(renderer: Renderer, planned: PlannedRendition, sealed: SealedFile, signal: AbortSignal): Promise<RenderOutcome> {
  const inputBytes = Math.min(sealed.bytes, POSTER_BYTES)
  await using workspace = await openWorkspace(renderer.tempDir, inputBytes + MAX_POSTER_BYTES)
  if (!(await download(renderer, sealed, inputBytes, join(workspace.path, 'input'), signal))) return { outcome: 'failed', reason: GONE }
  // Of a long recording only the beginning is here, and a bit rate that falls may put a tenth of the time behind it.
  const atMs = Math.min(sealed.durationMs * POSTER_AT, (sealed.durationMs * inputBytes) / sealed.bytes / 2)
  const output = join(workspace.path, 'output')
  const picture = async (seek: readonly string[]): Promise<RunOutcome> => {
    const args = [...seek, ...inputOf(planned), '-map', '0:v:0', '-frames:v', '1', '-vf', `scale='min(${POSTER_WIDTH},iw)':-2`, '-pix_fmt', 'yuvj420p', '-q:v', '4']
    const run = await runFfmpeg(renderer.ffmpeg, { args: [...args, '-fs', String(MAX_POSTER_BYTES), '-f', 'mjpeg', 'file:output'], cwd: workspace.path, timeLimitMs: renderer.timeLimitMs, signal })
    if (run.outcome === 'failed') return run
    return (await sizeOf(output)) > 0 ? run : { outcome: 'failed', reason: 'ffmpeg found no picture', isOverTime: false }
  }
  let run = atMs > 0 ? await picture(['-ss', (atMs / 1000).toFixed(3)]) : await picture([])
  // A broken place there, or an end that comes before: then the first that can be decoded.
  if (run.outcome === 'failed' && atMs > 0) run = await picture([])
  if (run.outcome === 'failed') return /matches no streams/.test(run.reason) ? { outcome: 'pointless' } : { outcome: 'failed', reason: run.reason }
  return { outcome: 'ready', bytes: await upload(renderer.store, output, planned, signal) }
}

async function renderMp4(renderer: Renderer, planned: PlannedRendition, sealed: SealedFile, signal: AbortSignal): Promise<RenderOutcome> {
  const { runBytes, ffmpeg, store } = renderer
  const isEncoded = planned.codecs === 'encoded'
  const outputBytes = Math.ceil(sealed.bytes * (isEncoded ? ENCODED_GROWTH : 1.1)) + 1024 ** 2
  // Copying takes as long as reading; an encoding may take as long as the recording.
  const timeLimitMs = isEncoded ? Math.max(renderer.timeLimitMs, sealed.durationMs) : renderer.timeLimitMs
  if (sealed.bytes + outputBytes > runBytes) {
    return { outcome: 'failed', reason: `a recording of ${sealed.bytes} bytes needs ${sealed.bytes + outputBytes} bytes of temporary space, and a run may take ${runBytes} (LONGTAKE_REMUXER_TEMP_BYTES)` }
  }
  await using workspace = await openWorkspace(renderer.tempDir, sealed.bytes + outputBytes)
  if (!(await download(renderer, sealed, sealed.bytes, join(workspace.path, 'input'), signal))) return { outcome: 'failed', reason: GONE }
  let run: RunOutcome = { outcome: 'failed', reason: 'nothing was tried', isOverTime: false }
  for (const codecs of isEncoded ? ENCODED_CODECS : MP4_CODECS) {
    // Opus in MP4 was experimental until ffmpeg 4.3, hence `-strict -2`. `-fs`: sample tables that name the same bytes again and again could fill the disk.
    const output = ['-strict', '-2', '-movflags', '+faststart', '-fs', String(outputBytes), '-f', 'mp4', 'file:output']
    run = await runWithFrameTimes(ffmpeg, 'vfr', { cwd: workspace.path, timeLimitMs, signal }, (frameTimes) => [
      ...inputOf(planned), '-map', '0:v?', '-map', '0:a?', ...frameTimes, ...codecs, ...output,
    ])
    if (run.outcome === 'done' || !NO_PLACE_IN_MP4.test(run.reason)) break
  }
  if (run.outcome === 'failed') return { outcome: 'failed', reason: run.reason }
  const output = join(workspace.path, 'output')
  const made = await sizeOf(output)
  if (made === 0) return { outcome: 'failed', reason: 'ffmpeg wrote nothing' }
  if (made >= outputBytes) return { outcome: 'failed', reason: `the MP4 would be larger than ${outputBytes} bytes, of a recording of ${sealed.bytes}` }
  return { outcome: 'ready', bytes: await upload(store, output, planned, signal) }
}

const AAC = ['-c:a', 'aac', '-b:a', '128k']
/** Colours of yuv420p are of 2×2 pixels; a captured window may have any size. */
const EVEN_SIZE = 'scale=trunc(iw/2)*2:trunc(ih/2)*2'
const EVERY_2_S = 'expr:gte(t,n_forced*2)'
/** H.264 in yuv420p and AAC are what every browser plays. Keyframes every 2 s make seeking quick. */
const H264 = `-c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p -vf ${EVEN_SIZE} -force_key_frames ${EVERY_2_S}`.split(' ')
const ENCODED_CODECS = [[...H264, ...AAC]]
/** A screen in H.264 may take several times the bytes that it has in VP9. */
const ENCODED_GROWTH = 4
/** As it is where MP4 has a place for it, else sound encoded (PCM), else pictures, too (VP8). */
const MP4_CODECS = [['-c', 'copy'], ['-c:v', 'copy', ...AAC], ...ENCODED_CODECS]
const NOT_ON_REQUEST = 'MP4 is not made on request here (LONGTAKE_REMUXER_MP4)'
/** How ffmpeg refuses a codec that the container cannot hold. */
const NO_PLACE_IN_MP4 = /could not find tag for codec|codec not currently supported in container/i

export const GONE = 'the sealed recording is not in storage'

export const inputOf = ({ source }: { source: Pick<FileState, 'mimeType'> }): string[] => ['-f', containerOf(source), '-i', 'file:input']

/** The first `count` bytes of the sealed version; false if there is none. */
export async function download({ store }: Pick<Renderer, 'store'>, { blob, snapshot }: SealedFile, count: number, path: string, signal: AbortSignal): Promise<boolean> {
  const read = await store.readRange(blob, { offset: 0, count, snapshot, signal })
  if (read.outcome !== 'read') return false
  await pipeline(read.body, createWriteStream(path), { signal })
  return true
}

/** Of a file, in bytes; 0 where there is none. */
export async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return found?.size ?? 0
}
