/** Everything the checker can find, and what it means. */
export const findingCodes = {
  'ebml-header': 'no EBML header at the start, a second one, or one that does not fit the content',
  'truncated': 'an element says it goes on behind the end of the file',
  'segment-size': 'the Segment ends before the file does',
  'unknown-size': 'an element of unknown size in a finished file',
  'element-size': 'an element does not fit into its parent, or its parent has bytes that are no element',
  'element-unexpected': 'an element where none of its kind may be, or twice where it may be once',
  'element-missing': 'an element that a playable file must have is not there',
  'crc': 'a CRC-32 element that does not match',
  'seek-position': 'a SeekHead entry that points at no such element',
  'cluster-time': 'a cluster without a timestamp, or one earlier than the cluster before it',
  'block': 'a block that cannot be read, or of a track that does not exist',
  'track-header': 'codec, codec data, sample rate or channels differ from what was recorded',
  'duration': 'the duration is not that of the frames',
  'cue-cluster': 'a cue that points at no cluster',
  'cue-block': 'a cue that does not point at a keyframe of its track',
  'cue-track': 'a cue of the wrong track: of audio where there is video',
  'cue-time': 'a cue with another time than its frame, or cues that do not rise',
  'cue-missing': 'no cue near a keyframe (or, without video, for seconds of audio), or no cues in front of the media',
  'frame-missing': 'an acknowledged frame is not in the file',
  'tail-missing': 'the last acknowledged frames are not in the file',
  'frame-duplicated': 'a frame is in the file more often than it was recorded',
  'frame-unknown': 'a frame that was never recorded',
  'frame-bytes': 'a frame with other bytes than were recorded',
  'frame-order': 'frames in another order than recorded',
  'frame-time': 'a frame further from the others of its part than it was recorded',
  'frame-additions': 'a frame without its additions (transparency), or with others',
  'key-flag': 'a keyframe that is not marked as one, or the reverse',
  'time-backwards': 'times of a track that do not rise as they did in the recording',
  'part-order': 'parts in another order than they were started',
  'part-offset': 'a part that does not start when it was started',
  'verbatim-bytes': 'a file kept as it came does not have the bytes that came',
  'gap-undeclared': 'chunks are missing (or cannot be played because of it), and no gap says so',
  'gap-over-data': 'a gap claims that chunks are lost which are there',
  'part-missing': 'a part that was recorded is not told of',
  'part-unknown': 'a part is told of that was never recorded',
  'stored-count': 'another number of chunks is said to be stored than was acknowledged',
  'stored-ranges': 'the ranges said to be stored are not those that were acknowledged',
  'stored-bytes': 'another number of bytes is said to be stored than was acknowledged',
  'declared-length': 'the length or cleanness that was declared for a part is told otherwise',
  'session-status': 'the session is said to be complete and is not, or the reverse',
  'file-facts': 'length, duration or type of a file are told otherwise than they are',
  'document': 'a status or manifest that contradicts itself',
} as const

export type FindingCode = keyof typeof findingCodes

export interface Finding {
  code: FindingCode
  /** What exactly, where exactly. */
  message: string
  /** How many frames, chunks or elements in a row this is about. */
  count: number
  /** Byte offset in the file. */
  at?: number
  part?: string
  /** Inclusive range of chunks. */
  chunks?: [number, number]
}

export function finding(code: FindingCode, message: string, more: Omit<Partial<Finding>, 'code' | 'message'> = {}): Finding {
  return { code, message, count: 1, ...more }
}

/** How many findings of one code are told one by one; the last of them counts the rest. */
const TOLD_OF_ONE_CODE = 5

/** Collects findings, so that a broken hour does not print a million lines. */
export class Findings {
  readonly all: Finding[] = []

  add(code: FindingCode, message: string, more: Omit<Partial<Finding>, 'code' | 'message'> = {}): void {
    const same = this.all.filter((one) => one.code === code)
    const last = same.at(-1)
    if (last === undefined || same.length < TOLD_OF_ONE_CODE) this.all.push(finding(code, message, more))
    else last.count += more.count ?? 1
  }
}

export function describeFindings(findings: readonly Finding[], most = 30): string {
  const lines = findings.slice(0, most).map(({ code, message, count }) => `- ${code}${count > 1 ? ` ×${count}` : ''}: ${message}`)
  if (findings.length > most) lines.push(`- … and ${findings.length - most} more`)
  return lines.join('\n')
}

/** Throws with all findings told; does nothing when there are none. */
export function assertContent(findings: readonly Finding[], what = 'the checker'): void {
  if (findings.length > 0) throw new Error(`${what} has ${findings.length} finding(s):\n${describeFindings(findings)}`)
}
