import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Frame, StreamReader, type TrackInfo } from '@longtake/webm'
import type { Packet } from './undecodable.ts'

/** The packets of one stream, in the order in which ffmpeg numbers them. */
export interface PacketStream {
  readonly media: 'video' | 'audio'
  readonly packets: Packet[]
}

/**
 * The packets of a sealed Matroska or WebM file. They are read by our own reader: ffmpeg's parsers drop packets whose
 * head is damaged before anything downstream sees them.
 * @returns all streams of pictures before all of sound, each in the order of the file
 */
export async function matroskaPackets(path: string): Promise<PacketStream[]> {
  const reader = new StreamReader()
  const streams = new Map<number, PacketStream & { delayMs: number }>()
  const add = ({ track, timeMs, key }: Frame): void => {
    const stream = streams.get(track)
    // Sound needs no keyframes; Firefox leaves the flag off.
    stream?.packets.push({ ms: timeMs - stream.delayMs, isKey: key || stream.media === 'audio' })
  }
  for await (const bytes of createReadStream(path, { highWaterMark: 1024 ** 2 }) as AsyncIterable<Buffer>) {
    for (const item of reader.push(bytes)) {
      if (item.kind === 'header')
        for (const track of item.header.tracks)
          streams.set(track.number, { media: track.type, packets: [], delayMs: delayMsOf(track) })
      else if (item.kind === 'frame') add(item)
    }
  }
  return (['video', 'audio'] as const).flatMap((media) =>
    [...streams.values()].filter((stream) => stream.media === media),
  )
}

/** ffmpeg counts times from behind the decoder's delay. */
const delayMsOf = ({ codecDelayNs }: TrackInfo): number => Math.round(codecDelayNs / 1e6)

/** What a stream has in a file of ffmpeg's framecrc format. */
export interface ListedStream {
  readonly media: string
  readonly packets: Packet[]
}

/**
 * Reads what ffmpeg's `-f framecrc` writes: `stream, dts, pts, duration, size, crc`, with times in ticks of the stream.
 */
export async function listedFrames(path: string): Promise<ListedStream[]> {
  const streams: (ListedStream & { tickMs: number })[] = []
  const streamAt = (index: string): (typeof streams)[number] =>
    (streams[Number(index)] ??= { media: '', packets: [], tickMs: 1 })
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    const base = /^#tb (\d+): (\d+)\/(\d+)/.exec(line)
    if (base !== null) Object.assign(streamAt(base[1]!), { tickMs: (1000 * Number(base[2])) / Number(base[3]) })
    const media = /^#media_type (\d+): (\w+)/.exec(line)
    if (media !== null) Object.assign(streamAt(media[1]!), { media: media[2]! })
    if (line.startsWith('#')) continue
    const fields = line.split(',')
    if (fields.length < 6) continue
    const stream = streamAt(fields[0]!)
    // The flags stand there only where they are not those of a keyframe.
    stream.packets.push({ ms: Number(fields[2]) * stream.tickMs, isKey: !line.includes('F=0x0') })
  }
  return streams
}
