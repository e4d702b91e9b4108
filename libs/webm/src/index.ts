export { sniff } from './sniff.ts';
export { findStreamHead } from './stream-head.ts';
export type { Container } from './sniff.ts';
export { WebmError } from './errors.ts';
export type { WebmErrorCode } from './errors.ts';
export { StreamReader } from './reader.ts';
export type {
  ClusterItem,
  DamageItem,
  HeaderItem,
  ReaderLimits,
  ReaderState,
  ReadItem,
  RecordingItem,
  ResyncedItem,
} from './reader-items.ts';
export type { Frame } from './blocks.ts';
export { packHeader, unpackHeader } from './tracks.ts';
export type { PackedHeader, PartHeader, TrackInfo } from './tracks.ts';
export { compatible, mapTracks } from './joining.ts';
export type { Compatibility, Mismatch } from './joining.ts';
export { KeyframeGate } from './keyframe-gate.ts';
export type { KeyframeGateState } from './keyframe-gate.ts';
export { ClusterWriter, placeCues } from './cluster-writer.ts';
export type { ClusterLimits, ClusterWriterState, FinishedCluster, FramePlace } from './cluster-writer.ts';
export { packCues, unpackCues } from './cues.ts';
export type { Cue } from './cues.ts';
export { buildHeader, DEFAULT_HEADER_SIZE } from './header.ts';
export type { HeaderInput } from './header.ts';
export { readFileHeader } from './file-header.ts';
export type { FileHeader } from './file-header.ts';
export { patchClusterTimestamps, readFrameTimes, writeFrameTimes } from './retime.ts';
export type { FrameTime } from './retime.ts';
