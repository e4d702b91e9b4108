/** Names of spans and metrics; spans of Kafka are named by topic: `recordings.chunks publish`, `… process`. Session ids stand on spans and logs, never on metrics. */
export const SPANS = {
  receiveChunk: 'gateway receive chunk',
  commit: 'block-writer commit',
  stageBlock: 'blob stage block',
  commitBlocks: 'blob commit blocks',
  finalize: 'finalizer finalize',
  render: 'remuxer render',
} as const

export const ATTRIBUTES = {
  session: 'longtake.session',
  track: 'longtake.track',
  part: 'longtake.part',
  seq: 'longtake.seq',
} as const

export const METRICS = {
  gatewayConnections: 'longtake.gateway.connections',
  gatewayChunks: 'longtake.gateway.chunks',
  gatewayChunkBytes: 'longtake.gateway.chunk.bytes',
  gatewayAckDuration: 'longtake.gateway.ack.duration',
  gatewayInFlightBytes: 'longtake.gateway.in_flight.bytes',
  gatewayCloses: 'longtake.gateway.closes',
  gatewayBacklogBytes: 'longtake.gateway.backlog.bytes',
  gatewayBacklogLooks: 'longtake.gateway.backlog.looks',
  unknownMessages: 'longtake.unknown_messages',
  tooLarge: 'longtake.too_large',
  parked: 'longtake.parked',
  commits: 'longtake.block_writer.commits',
  commitDuration: 'longtake.block_writer.commit.duration',
  parkingExcess: 'longtake.block_writer.parking.excess',
  damaged: 'longtake.block_writer.damaged',
  bufferedBytes: 'longtake.block_writer.buffered.bytes',
  blobRequests: 'longtake.blob.requests',
  blobDuration: 'longtake.blob.request.duration',
  blobRetries: 'longtake.blob.retries',
  blobLimit: 'longtake.blob.limit',
  blobInFlight: 'longtake.blob.in_flight',
  blobInFlightBytes: 'longtake.blob.in_flight.bytes',
  blobQueued: 'longtake.blob.queued',
  blobRejected: 'longtake.blob.rejected',
  sessions: 'longtake.completeness.sessions',
  gaps: 'longtake.completeness.gaps',
  finalizations: 'longtake.finalizer.finalizations',
  renditions: 'longtake.remuxer.renditions',
  renditionDuration: 'longtake.remuxer.rendition.duration',
} as const
