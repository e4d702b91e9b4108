/** The part of Matroska (RFC 9559) that recordings use: who may be whose child, and how often. */
export interface ElementRule {
  name: string
  /** Ids of the elements it may be in; 0 is the file itself. */
  parents: readonly number[]
  master: boolean
  /** At most once in its parent. */
  once: boolean
}

export const ID = {
  ebml: 0x1a45dfa3, docType: 0x4282, segment: 0x18538067, seekHead: 0x114d9b74, seek: 0x4dbb, seekId: 0x53ab, seekPosition: 0x53ac,
  info: 0x1549a966, timestampScale: 0x2ad7b1, duration: 0x4489,
  tracks: 0x1654ae6b, trackEntry: 0xae, trackNumber: 0xd7, trackType: 0x83, codecId: 0x86, codecPrivate: 0x63a2, codecDelay: 0x56aa,
  seekPreRoll: 0x56bb, defaultDuration: 0x23e383, video: 0xe0, audio: 0xe1, samplingFrequency: 0xb5, channels: 0x9f,
  cluster: 0x1f43b675, timestamp: 0xe7, simpleBlock: 0xa3, blockGroup: 0xa0, block: 0xa1, referenceBlock: 0xfb, blockDuration: 0x9b,
  blockAdditions: 0x75a1, cues: 0x1c53bb6b, cuePoint: 0xbb, cueTime: 0xb3, cueTrackPositions: 0xb7, cueTrack: 0xf7,
  cueClusterPosition: 0xf1, cueRelativePosition: 0xf0, void: 0xec, crc32: 0xbf,
} as const

const rules = new Map<number, ElementRule>()

function allow(parents: readonly number[], once: boolean, children: Record<string, number>, masters: readonly string[] = []): void {
  for (const [name, id] of Object.entries(children)) {
    const known = rules.get(id)
    rules.set(id, { name, parents: [...(known?.parents ?? []), ...parents], master: masters.includes(name) || known?.master === true, once })
  }
}

allow([0], true, { EBML: ID.ebml, Segment: ID.segment }, ['EBML', 'Segment'])
allow([ID.ebml], true, {
  EBMLVersion: 0x4286, EBMLReadVersion: 0x42f7, EBMLMaxIDLength: 0x42f2, EBMLMaxSizeLength: 0x42f3, DocType: ID.docType,
  DocTypeVersion: 0x4287, DocTypeReadVersion: 0x4285,
})
allow([ID.segment], true, { Info: ID.info, Tracks: ID.tracks, Cues: ID.cues }, ['Info', 'Tracks', 'Cues'])
allow([ID.segment], false, { SeekHead: ID.seekHead, Cluster: ID.cluster, Tags: 0x1254c367 }, ['SeekHead', 'Cluster'])
allow([ID.seekHead], false, { Seek: ID.seek }, ['Seek'])
allow([ID.seek], true, { SeekID: ID.seekId, SeekPosition: ID.seekPosition })
allow([ID.info], true, {
  TimestampScale: ID.timestampScale, Duration: ID.duration, MuxingApp: 0x4d80, WritingApp: 0x5741, DateUTC: 0x4461, SegmentUUID: 0x73a4, Title: 0x7ba9,
})
allow([ID.tracks], false, { TrackEntry: ID.trackEntry }, ['TrackEntry'])
allow([ID.trackEntry], true, {
  TrackNumber: ID.trackNumber, TrackUID: 0x73c5, TrackType: ID.trackType, CodecID: ID.codecId, CodecPrivate: ID.codecPrivate, CodecName: 0x258688,
  CodecDelay: ID.codecDelay, SeekPreRoll: ID.seekPreRoll, DefaultDuration: ID.defaultDuration, FlagLacing: 0x9c, FlagEnabled: 0xb9, FlagDefault: 0x88,
  FlagForced: 0x55aa, MaxBlockAdditionID: 0x55ee, Language: 0x22b59c, Name: 0x536e, MinCache: 0x6de7, MaxCache: 0x6df8, TrackTimestampScale: 0x23314f,
  Video: ID.video, Audio: ID.audio,
}, ['Video', 'Audio'])
allow([ID.trackEntry], false, { BlockAdditionMapping: 0x41e4 })
allow([ID.video], true, {
  PixelWidth: 0xb0, PixelHeight: 0xba, AlphaMode: 0x53c0, DisplayWidth: 0x54b0, DisplayHeight: 0x54ba, DisplayUnit: 0x54b2, StereoMode: 0x53b8,
  FlagInterlaced: 0x9a, FieldOrder: 0x9d, Colour: 0x55b0, Projection: 0x7670, FrameRate: 0x2383e3,
})
allow([ID.audio], true, { SamplingFrequency: ID.samplingFrequency, OutputSamplingFrequency: 0x78b5, Channels: ID.channels, BitDepth: 0x6264 })
allow([ID.cluster], true, { Timestamp: ID.timestamp, Position: 0xa7, PrevSize: 0xab })
allow([ID.cluster], false, { SimpleBlock: ID.simpleBlock, BlockGroup: ID.blockGroup }, ['BlockGroup'])
allow([ID.blockGroup], true, {
  Block: ID.block, BlockDuration: ID.blockDuration, BlockAdditions: ID.blockAdditions, DiscardPadding: 0x75a2, CodecState: 0xa4, ReferencePriority: 0xfa,
})
allow([ID.blockGroup], false, { ReferenceBlock: ID.referenceBlock })
allow([ID.cues], false, { CuePoint: ID.cuePoint }, ['CuePoint'])
allow([ID.cuePoint], true, { CueTime: ID.cueTime })
allow([ID.cuePoint], false, { CueTrackPositions: ID.cueTrackPositions }, ['CueTrackPositions'])
allow([ID.cueTrackPositions], true, {
  CueTrack: ID.cueTrack, CueClusterPosition: ID.cueClusterPosition, CueRelativePosition: ID.cueRelativePosition, CueDuration: 0xb2, CueBlockNumber: 0x5378,
})

const everywhere: Record<number, ElementRule> = {
  [ID.void]: { name: 'Void', parents: [], master: false, once: false },
  [ID.crc32]: { name: 'CRC-32', parents: [], master: false, once: true },
}

/** The rule of a known element; a Void or CRC-32 may be in any master. */
export function ruleOf(id: number): ElementRule | undefined {
  return everywhere[id] ?? rules.get(id)
}

export function mayContain(parent: number, id: number): boolean {
  if (id in everywhere) return parent !== 0
  return rules.get(id)?.parents.includes(parent) ?? false
}

export function nameOf(id: number): string {
  return ruleOf(id)?.name ?? `element 0x${id.toString(16)}`
}
