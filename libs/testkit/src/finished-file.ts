import { crc32 } from 'node:zlib'
import { findCluster, readHead, readText, readUint, type ElementHead } from './ebml.ts'
import { Findings } from './findings.ts'
import { readFrame, readTracks, wholeChildren, type Frame, type TrackInfo } from './frames.ts'
import { readDuration, readTimestampScale } from './recorder-output.ts'
import { ID, mayContain, nameOf, ruleOf } from './schema.ts'

export interface FileFrame extends Frame {
  /** Index of its cluster. */
  cluster: number
}

export interface ClusterPlace {
  at: number
  dataAt: number
  end: number
  time: number
}

export interface Cue {
  time: number
  track: number
  /** Both relative to the Segment's, or the cluster's, content. */
  clusterPosition: number
  relativePosition: number | null
}

export interface FinishedFile {
  docType: string
  /** Offset of the Segment's content, to which its positions are relative. */
  segmentDataAt: number
  timestampScale: number
  durationMs: number | null
  tracks: TrackInfo[]
  clusters: ClusterPlace[]
  frames: FileFrame[]
  /** Null when there is no Cues element. */
  cues: { at: number; end: number; points: Cue[] } | null
  seeks: { id: number; position: number }[]
  /** Bytes of Void in front of the first cluster. */
  spareBytes: number
  /** Offset → id of every element directly in the Segment. */
  levelOne: Map<number, number>
}

/**
 * Reads a whole WebM file and says where it is not exactly well-formed. What can be read in spite of a fault is read, so
 * that one broken size gives one finding and not a thousand missing frames.
 */
export function readFinishedFile(bytes: Uint8Array, findings: Findings): FinishedFile {
  return new StrictReader(bytes, findings).read()
}

class StrictReader {
  readonly #bytes: Uint8Array
  readonly #findings: Findings
  readonly #file: FinishedFile = {
    docType: '', segmentDataAt: 0, timestampScale: 1_000_000, durationMs: null, tracks: [], clusters: [], frames: [], cues: null, seeks: [],
    spareBytes: 0, levelOne: new Map(),
  }

  constructor(bytes: Uint8Array, findings: Findings) {
    this.#bytes = bytes
    this.#findings = findings
  }

  read(): FinishedFile {
    const ebml = readHead(this.#bytes, 0, this.#bytes.length)
    if (ebml?.id !== ID.ebml || ebml.size === null) {
      this.#findings.add('ebml-header', 'the file does not begin with an EBML header', { at: 0 })
      return this.#file
    }
    this.#checkInside(ebml, ebml.dataAt + ebml.size)
    for (const { id, data } of wholeChildren(this.#bytes, ebml.dataAt, ebml.dataAt + ebml.size)) if (id === ID.docType) this.#file.docType = readText(data)
    if (this.#file.docType !== 'webm' && this.#file.docType !== 'matroska') {
      this.#findings.add('ebml-header', `DocType is "${this.#file.docType}"`, { at: 0 })
    }
    this.#readSegment(ebml.dataAt + ebml.size)
    return this.#file
  }

  #readSegment(at: number): void {
    const segment = readHead(this.#bytes, at, this.#bytes.length)
    if (segment?.id !== ID.segment) {
      this.#findings.add('element-missing', 'no Segment behind the EBML header', { at })
      return
    }
    this.#file.segmentDataAt = segment.dataAt
    const fileEnd = this.#bytes.length
    if (segment.size === null) this.#findings.add('unknown-size', 'the Segment has no size', { at })
    else if (segment.dataAt + segment.size > fileEnd) {
      this.#findings.add('truncated', `the Segment ends at ${segment.dataAt + segment.size}, the file at ${fileEnd}`, { at })
    } else if (segment.dataAt + segment.size < fileEnd) {
      this.#findings.add('segment-size', `the Segment ends at ${segment.dataAt + segment.size}, the file at ${fileEnd}`, { at })
    }
    const cutOff = segment.size === null || segment.dataAt + segment.size > fileEnd
    for (let next = segment.dataAt; next >= 0 && next < fileEnd;) next = this.#readLevelOne(next, cutOff)
    for (const [id, name] of [[ID.info, 'Info'], [ID.tracks, 'Tracks']] as const) {
      if (![...this.#file.levelOne.values()].includes(id)) this.#findings.add('element-missing', `no ${name}`)
    }
  }

  /** Reads one element directly in the Segment and returns where the next one is. */
  #readLevelOne(at: number, cutOff: boolean): number {
    const bytes = this.#bytes
    const head = readHead(bytes, at, bytes.length)
    if (head === null || ruleOf(head.id) === undefined) {
      if (head === null && cutOff) return -1
      this.#findings.add('element-size', `at ${at}, directly in the Segment, there are bytes that are no element`, { at })
      return findCluster(bytes, at)
    }
    if (head.id === ID.ebml || head.id === ID.segment) {
      this.#findings.add('ebml-header', `a second ${nameOf(head.id)} at ${at}: joined files`, { at })
      return head.id === ID.segment || head.size === null ? head.dataAt : head.dataAt + head.size
    }
    const repeated = ruleOf(head.id)?.once === true && [...this.#file.levelOne.values()].includes(head.id)
    if (!mayContain(ID.segment, head.id) || repeated) {
      this.#findings.add('element-unexpected', `${nameOf(head.id)} at ${at}, directly in the Segment${repeated ? ', for the second time' : ''}`, { at })
    }
    this.#file.levelOne.set(at, head.id)
    if (head.size === null) {
      this.#findings.add('unknown-size', `${nameOf(head.id)} at ${at} has no size`, { at })
      const end = findCluster(bytes, head.dataAt)
      if (head.id === ID.cluster) this.#readCluster(head, end < 0 ? bytes.length : end, true)
      return end
    }
    let end = head.dataAt + head.size
    const overrun = end > bytes.length
    if (overrun) {
      if (!cutOff) this.#findings.add('truncated', `${nameOf(head.id)} at ${at} ends at ${end}, the file at ${bytes.length}`, { at })
      end = bytes.length
    }
    if (head.id === ID.cluster) return this.#readCluster(head, end, overrun)
    if (!overrun) this.#readHeaderElement(head, end)
    return end
  }

  #readHeaderElement(head: ElementHead, end: number): void {
    const file = this.#file
    const bytes = this.#bytes
    this.#checkInside(head, end)
    if (head.id === ID.void && file.clusters.length === 0) file.spareBytes += end - head.at
    else if (head.id === ID.tracks) file.tracks = readTracks(bytes, head.dataAt, end)
    else if (head.id === ID.cues) file.cues ??= { at: head.at, end, points: [...readCues(bytes.subarray(head.dataAt, end))] }
    else if (head.id === ID.seekHead) file.seeks.push(...readSeeks(bytes.subarray(head.dataAt, end)))
    else if (head.id === ID.info) {
      file.timestampScale = readTimestampScale(bytes, head.dataAt, end)
      const ticks = readDuration(bytes, head.dataAt, end)
      file.durationMs = ticks === null ? null : (ticks * file.timestampScale) / 1e6
    }
  }

  /** Returns where to go on: behind the cluster, or at the next one when its content does not add up. */
  #readCluster(cluster: ElementHead, end: number, cutOff: boolean): number {
    const bytes = this.#bytes
    const place: ClusterPlace = { at: cluster.at, dataAt: cluster.dataAt, end, time: Number.NaN }
    const index = this.#file.clusters.push(place) - 1
    let at = cluster.dataAt
    while (at < end) {
      const head = readHead(bytes, at, end)
      const sound = head !== null && ruleOf(head.id) !== undefined && head.size !== null
      if (!sound || head.dataAt + (head.size as number) > end) {
        if (cutOff) return -1
        this.#findings.add('element-size', `the content of the cluster at ${cluster.at} does not add up to its size (at ${at})`, { at: cluster.at })
        // A last block that is whole in the file, only not in its cluster, is still a frame.
        const wholeEnd = sound ? head.dataAt + (head.size as number) : bytes.length + 1
        if (wholeEnd <= bytes.length) this.#readClusterElement(head as ElementHead, wholeEnd, place, index)
        this.#checkTime(place, index)
        return findCluster(bytes, wholeEnd <= bytes.length ? wholeEnd : at)
      }
      const childEnd = head.dataAt + (head.size as number)
      this.#readClusterElement(head, childEnd, place, index)
      at = childEnd
    }
    this.#checkTime(place, index)
    return end
  }

  #readClusterElement(head: ElementHead, end: number, place: ClusterPlace, index: number): void {
    if (!mayContain(ID.cluster, head.id)) this.#findings.add('element-unexpected', `${nameOf(head.id)} at ${head.at} in a cluster`, { at: head.at })
    if (head.id === ID.timestamp) {
      if (!Number.isNaN(place.time)) this.#findings.add('element-unexpected', `a second Timestamp in the cluster at ${place.at}`, { at: head.at })
      place.time = readUint(this.#bytes.subarray(head.dataAt, end))
    }
    if (head.id === ID.crc32) this.#checkCrc(head, place.end)
    if (head.id === ID.blockGroup) this.#checkInside(head, end)
    if (head.id !== ID.simpleBlock && head.id !== ID.blockGroup) return
    const context = { clusterTime: place.time, timestampScale: this.#file.timestampScale, tracks: this.#file.tracks }
    const frame = Number.isNaN(place.time) ? null : readFrame(this.#bytes, head, end, context)
    if (frame === null) this.#findings.add('block', `the block at ${head.at} cannot be read, or is of no known track`, { at: head.at })
    else this.#file.frames.push({ ...frame, cluster: index })
  }

  #checkTime(place: ClusterPlace, index: number): void {
    const before = this.#file.clusters[index - 1]
    if (Number.isNaN(place.time)) this.#findings.add('cluster-time', `the cluster at ${place.at} has no timestamp`, { at: place.at })
    else if (before !== undefined && place.time < before.time) {
      this.#findings.add('cluster-time', `the cluster at ${place.at} is at ${place.time}, the one before it at ${before.time}`, { at: place.at })
    }
  }

  /** That the children of a master add up exactly, belong there and are not repeated; recursively. */
  #checkInside(parent: ElementHead, end: number): void {
    if (ruleOf(parent.id)?.master !== true && parent.id !== ID.ebml) return
    const seen = new Set<number>()
    for (let at = parent.dataAt; at < end;) {
      const head = readHead(this.#bytes, at, end)
      if (head === null || (head.size !== null && head.dataAt + head.size > end)) {
        this.#findings.add('element-size', `the content of ${nameOf(parent.id)} at ${parent.at} does not add up to its size (at ${at})`, { at: parent.at })
        return
      }
      if (head.size === null) {
        this.#findings.add('unknown-size', `${nameOf(head.id)} at ${at} has no size`, { at })
        return
      }
      if (!mayContain(parent.id, head.id) || (seen.has(head.id) && ruleOf(head.id)?.once === true)) {
        this.#findings.add('element-unexpected', `${nameOf(head.id)} at ${at} in ${nameOf(parent.id)}`, { at })
      } else this.#checkInside(head, head.dataAt + head.size)
      if (head.id === ID.crc32) this.#checkCrc(head, end)
      seen.add(head.id)
      at = head.dataAt + head.size
    }
  }

  #checkCrc(head: ElementHead, parentEnd: number): void {
    const from = head.dataAt + (head.size ?? 0)
    const told = this.#bytes.subarray(head.dataAt, from)
    const right = told.length === 4 && Buffer.from(told).readUInt32LE(0) === crc32(this.#bytes.subarray(from, parentEnd))
    if (!right) this.#findings.add('crc', `the CRC-32 at ${head.at} is not that of its parent's content`, { at: head.at })
  }
}

function* readCues(bytes: Uint8Array): Generator<Cue> {
  for (const point of wholeChildren(bytes, 0, bytes.length)) {
    if (point.id !== ID.cuePoint) continue
    const children = [...wholeChildren(point.data, 0, point.data.length)]
    const time = readUint(children.find(({ id }) => id === ID.cueTime)?.data ?? new Uint8Array(0))
    for (const { id, data } of children) {
      if (id !== ID.cueTrackPositions) continue
      const cue: Cue = { time, track: 0, clusterPosition: -1, relativePosition: null }
      for (const value of wholeChildren(data, 0, data.length)) {
        if (value.id === ID.cueTrack) cue.track = readUint(value.data)
        else if (value.id === ID.cueClusterPosition) cue.clusterPosition = readUint(value.data)
        else if (value.id === ID.cueRelativePosition) cue.relativePosition = readUint(value.data)
      }
      yield cue
    }
  }
}

function* readSeeks(bytes: Uint8Array): Generator<{ id: number; position: number }> {
  for (const seek of wholeChildren(bytes, 0, bytes.length)) {
    if (seek.id !== ID.seek) continue
    const entry = { id: 0, position: -1 }
    for (const { id, data } of wholeChildren(seek.data, 0, seek.data.length)) {
      if (id === ID.seekId) entry.id = readUint(data)
      else if (id === ID.seekPosition) entry.position = readUint(data)
    }
    yield entry
  }
}
