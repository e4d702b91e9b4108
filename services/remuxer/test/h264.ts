import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findFfmpeg } from '@longtake/testkit'

/**
 * H.264 and Opus in Matroska as Chrome records them: no CodecPrivate, and start codes before the NAL units where
 * Matroska wants their lengths. Four seconds, 100 frames.
 */
export function chromeH264(folder: string): Uint8Array {
  const path = join(folder, 'h264.mkv')
  const video = ['-f', 'lavfi', '-i', 'testsrc=size=320x240:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=440', '-t', '4']
  const codecs = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-pix_fmt', 'yuv420p', '-x264-params', 'repeat-headers=1', '-c:a', 'libopus', '-b:a', '64k']
  execFileSync(findFfmpeg(), ['-v', 'error', '-nostdin', '-y', ...video, ...codecs, '-f', 'matroska', path])
  const bytes = readFileSync(path)
  toStartCodes(bytes, 0, bytes.length)
  return bytes
}

const ID = { segment: 0x18538067, tracks: 0x1654ae6b, trackEntry: 0xae, cluster: 0x1f43b675, blockGroup: 0xa0, block: 0xa1, simpleBlock: 0xa3, codecPrivate: 0x63a2 }
const MASTERS = [ID.segment, ID.tracks, ID.trackEntry, ID.cluster, ID.blockGroup]

/** In place: both forms are four bytes long, and CodecPrivate becomes Void. */
function toStartCodes(bytes: Buffer, from: number, end: number): void {
  for (let at = from; at < end;) {
    const idLength = Math.clz32(bytes[at]!) - 23
    const id = bytes.readUIntBE(at, idLength)
    const { value: size, length: sizeLength } = readSize(bytes, at + idLength)
    const data = at + idLength + sizeLength
    if (MASTERS.includes(id)) toStartCodes(bytes, data, data + size)
    else if (id === ID.codecPrivate && bytes[data] === 1) voidOut(bytes, at, data, size)
    else if ((id === ID.block || id === ID.simpleBlock) && readSize(bytes, data).value === 1) {
      for (let unit = data + 4; unit < data + size;) {
        const length = bytes.readUInt32BE(unit)
        bytes.writeUInt32BE(1, unit)
        unit += 4 + length
      }
    }
    at = data + size
  }
}

function readSize(bytes: Buffer, at: number): { value: number; length: number } {
  const length = Math.clz32(bytes[at]!) - 23
  const all = BigInt(`0x${bytes.toString('hex', at, at + length)}`)
  return { length, value: Number(BigInt.asUintN(7 * length, all)) }
}

/** An element of the same extent whose content means nothing. */
function voidOut(bytes: Buffer, at: number, data: number, size: number): void {
  const sizeLength = data - at - 1
  bytes[at] = 0xec
  bytes.writeUIntBE(2 ** (7 * sizeLength) + size, at + 1, sizeLength)
}
