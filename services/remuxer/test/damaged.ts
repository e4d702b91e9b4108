import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { concat, findFfmpeg } from '@longtake/testkit'
import { StreamReader } from '@longtake/webm'

/** A file whose frame at `atMs`, or the next one behind it, has other bytes; its container stays as it was. */
export function damagedFrame(
  file: Uint8Array,
  track: number,
  atMs: number,
  damage: (frame: Uint8Array) => void,
): { bytes: Uint8Array; ms: number } {
  const bytes = Uint8Array.from(file)
  // Frames are views of what is pushed.
  const frame = new StreamReader()
    .push(bytes)
    .find((item) => item.kind === 'frame' && item.track === track && item.timeMs >= atMs)
  if (frame?.kind !== 'frame') throw new Error(`no frame of track ${track} behind ${atMs} ms`)
  damage(frame.data)
  return { bytes, ms: frame.timeMs }
}

export const inverted =
  (from: number, count: number) =>
  (frame: Uint8Array): void => {
    for (
      let i = Math.floor(from * frame.length);
      i < Math.min(frame.length, Math.floor(from * frame.length) + count);
      i++
    )
      frame[i]! ^= 0xff
  }

const NAL = { sequence: 7, picture: 8 }

/**
 * Two seconds of 320×240 and two of 640×480 at 25 frames a second, as H.264 in a fragmented MP4 that describes the
 * first size only.
 * @param options.inBand the second size stands in the stream itself, as avc3 has it; else it is nowhere, as in Chrome's
 * avc1
 */
export function resizedMp4(
  folder: string,
  { inBand, profile }: { inBand: boolean; profile: 'baseline' | 'high' },
): Uint8Array {
  const encoded = (size: string): Uint8Array => {
    const source = ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=25:duration=2`]
    return execFileSync(
      findFfmpeg(),
      [
        '-v',
        'error',
        '-nostdin',
        ...source,
        '-c:v',
        'libx264',
        '-profile:v',
        profile,
        '-bf',
        '0',
        '-g',
        '25',
        '-pix_fmt',
        'yuv420p',
        '-f',
        'h264',
        'pipe:1',
      ],
      { maxBuffer: 16 * 1024 ** 2 },
    )
  }
  const second = encoded('640x480')
  writeFileSync(join(folder, 'both.h264'), concat([encoded('320x240'), inBand ? second : withoutParameterSets(second)]))
  execFileSync(
    findFfmpeg(),
    [
      '-v',
      'error',
      '-nostdin',
      '-y',
      '-f',
      'h264',
      '-r',
      '25',
      '-i',
      'both.h264',
      '-c',
      'copy',
      '-movflags',
      '+frag_keyframe+empty_moov',
      '-f',
      'mp4',
      'both.mp4',
    ],
    { cwd: folder },
  )
  return readFileSync(join(folder, 'both.mp4'))
}

/** An Annex B stream without what says how its pictures are to be read. */
function withoutParameterSets(stream: Uint8Array): Uint8Array {
  const starts: number[] = []
  for (let i = 0; i + 3 < stream.length; i++)
    if (stream[i] === 0 && stream[i + 1] === 0 && stream[i + 2] === 1) starts.push(i)
  return concat(
    starts
      .map((start, i) => stream.subarray(start, starts[i + 1] ?? stream.length))
      .filter((unit) => ![NAL.sequence, NAL.picture].includes(unit[3]! & 0x1f)),
  )
}
