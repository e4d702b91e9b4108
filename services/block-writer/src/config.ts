import { azureSettings, bytes, chunkLogSettings, duration, kafkaSettings, readEnv, serviceSettings, type ConfigOf, type Env } from '@longtake/service'
import { COMMIT_LIMITS, COMMIT_POLICY } from './core/index.ts'

const MiB = 1024 ** 2

const settings = {
  ...serviceSettings('block-writer', { healthPort: 9102 }),
  ...kafkaSettings,
  ...azureSettings,
  firstCommitMs: duration('LONGTAKE_FIRST_COMMIT', { help: 'from a part’s first chunk to its first commit', default: COMMIT_POLICY.firstMs, min: 100 }),
  commitEveryMs: duration('LONGTAKE_COMMIT_EVERY', { help: 'longest time a byte stays uncommitted', default: COMMIT_POLICY.everyMs, min: 100 }),
  commitCalmMs: duration('LONGTAKE_COMMIT_EVERY_CALM', { help: 'the same once a recording is five minutes old', default: COMMIT_POLICY.calmEveryMs, min: 100 }),
  blockBytes: bytes('LONGTAKE_BLOCK_BYTES', { help: 'so many uncommitted bytes of a track are committed at once; twice as many from five minutes on, while memory has room', default: COMMIT_POLICY.maxBytes, min: 64 * 1024, max: 64 * MiB }),
  headerBytes: bytes('LONGTAKE_HEADER_BYTES', { help: 'fixed size of a new file’s header with its cues', default: COMMIT_LIMITS.headerBytes, min: 4096, max: 4 * MiB }),
  holeWaitMs: duration('LONGTAKE_HOLE_WAIT', { help: 'how long chunks behind a missing one wait for it', default: 5_000 }),
  bufferBytes: bytes('LONGTAKE_WRITER_BUFFER', { help: 'memory for uncommitted chunks of all tracks together', default: 256 * MiB, min: 8 * MiB }),
  ...chunkLogSettings,
  parkedBytes: bytes('LONGTAKE_PARKED_PER_SESSION', {
    help: 'what a session may leave in recordings.parked by what its clients send; then gateways refuse its chunks',
    default: 64 * MiB,
    min: MiB,
  }),
  idleMs: duration('LONGTAKE_TRACK_IDLE', { help: 'a track without chunks for so long leaves memory', default: 120_000, min: 1_000 }),
}
export type Config = ConfigOf<typeof settings>
export const readConfig = (env: Env): Config => readEnv(env, settings)
