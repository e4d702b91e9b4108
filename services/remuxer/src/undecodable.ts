import { MAX_UNDECODABLE_SPANS, type UndecodableSpan } from '@longtake/contracts'

/** One frame of a file as its container has it. */
export interface Packet {
  readonly ms: number
  readonly isKey: boolean
}

/**
 * A track of a file, and the times of the frames that came out of its decoder. All in milliseconds of the file, in any
 * order.
 */
export interface DecodedTrack {
  readonly media: UndecodableSpan['media']
  readonly packets: readonly Packet[]
  readonly frames: readonly number[]
}

/** Containers round to whole ticks, and what a decoder does with times rounds once more. */
const EXACT_MS = 5
/** A decoder that skips samples, or fills in for a damaged frame, may move the times of its neighbours. */
const MOVED_MS = 100
/** A frame that is never shown (the alternate reference of VP8) has the time of its neighbour, or the next tick. */
const HIDDEN_MS = 2
/** No packet of sound is longer (RFC 6716 §2.1.4). */
const SOUND_PACKET_MS = 120

/**
 * The media that a decoder does not show: packets without a frame. A picture that is missing spoils all that follow it
 * up to the next keyframe that can be decoded, whatever a decoder makes of them: they are predicted from it.
 * @param durationMs of the file
 */
export function undecodableSpans(tracks: readonly DecodedTrack[], durationMs: number): UndecodableSpan[] {
  const limit = Math.floor(MAX_UNDECODABLE_SPANS / Math.max(1, new Set(tracks.map(({ media }) => media)).size))
  return (['video', 'audio'] as const)
    .flatMap((media) =>
      boundedSpans(
        tracks.filter((track) => track.media === media).flatMap((track) => spansOf(track, durationMs)),
        limit,
      ),
    )
    .sort((a, b) => a.startMs - b.startMs)
}

function spansOf({ media, packets, frames }: DecodedTrack, durationMs: number): UndecodableSpan[] {
  if (frames.length >= packets.length) return []
  const sorted = packets.toSorted((a, b) => a.ms - b.ms)
  const isShown = matched(
    sorted,
    frames.toSorted((a, b) => a - b),
  )
  const spans: UndecodableSpan[] = []
  for (let i = 0; i < sorted.length; i++) {
    if (isShown[i] === 1 || isHidden(sorted, isShown, i)) continue
    const startMs = sorted[i]!.ms
    let end = i + 1
    if (media === 'video') while (end < sorted.length && !(sorted[end]!.isKey && isShown[end] === 1)) end++
    const next = sorted[end]?.ms ?? Math.max(durationMs, sorted.at(-1)!.ms)
    spans.push({ media, startMs, endMs: media === 'video' ? next : Math.min(next, startMs + SOUND_PACKET_MS) })
    i = end - 1
  }
  return spans
}

/** Which packets have a frame: those of the same time first, then what is left, each with the nearest in order. */
function matched(packets: readonly Packet[], frames: readonly number[]): Uint8Array {
  const isShown = new Uint8Array(packets.length)
  let left = frames
  for (const toleranceMs of [EXACT_MS, MOVED_MS]) {
    const unmatched: number[] = []
    let next = 0
    for (let i = 0; i < packets.length && next < left.length; i++) {
      if (isShown[i] === 1) continue
      while (next < left.length && left[next]! < packets[i]!.ms - toleranceMs) unmatched.push(left[next++]!)
      if (next < left.length && left[next]! <= packets[i]!.ms + toleranceMs) {
        isShown[i] = 1
        next++
      }
    }
    left = [...unmatched, ...left.slice(next)]
  }
  return isShown
}

const isHidden = (packets: readonly Packet[], isShown: Uint8Array, i: number): boolean =>
  [i - 1, i + 1].some((other) => isShown[other] === 1 && Math.abs(packets[other]!.ms - packets[i]!.ms) <= HIDDEN_MS)

/** The same spans, joined where they touch, and at their shortest distances where there are too many of them. */
function boundedSpans(spans: readonly UndecodableSpan[], limit: number): UndecodableSpan[] {
  const joined = joinedSpans(spans, 0)
  if (joined.length <= limit) return joined
  const distances = joined
    .slice(1)
    .map(({ startMs }, i) => startMs - joined[i]!.endMs)
    .sort((a, b) => a - b)
  return joinedSpans(joined, distances[joined.length - limit - 1]!)
}

function joinedSpans(spans: readonly UndecodableSpan[], distanceMs: number): UndecodableSpan[] {
  const joined: UndecodableSpan[] = []
  for (const span of spans.toSorted((a, b) => a.startMs - b.startMs)) {
    const last = joined.at(-1)
    if (last !== undefined && span.startMs - last.endMs <= distanceMs)
      joined[joined.length - 1] = { ...last, endMs: Math.max(last.endMs, span.endMs) }
    else joined.push(span)
  }
  return joined
}
