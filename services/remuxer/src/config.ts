import { tmpdir } from 'node:os'
import { DECODED_COVERAGE } from '@longtake/contracts'
import { azureSettings, bytes, type ConfigOf, duration, type Env, integer, kafkaSettings, oneOf, readEnv, serviceSettings, text } from '@longtake/service'
import { MP4_POLICIES } from './plan.ts'

const settings = {
  ...serviceSettings('remuxer', { healthPort: 9105 }),
  ...kafkaSettings,
  ...azureSettings,
  ffmpegPath: text('FFMPEG_PATH', { help: 'the ffmpeg to use; unset: ffmpeg-static, `ffmpeg` on PATH, or the one of @ffmpeg-installer', default: undefined }),
  searchPath: text('PATH', { help: 'where `ffmpeg` is looked for', default: '' }),
  atOnce: integer('LONGTAKE_REMUXER_AT_ONCE', { help: 'how many posters and copied MP4s may be made at the same time', default: 2, min: 1, max: 64 }),
  timeLimitMs: duration('LONGTAKE_REMUXER_TIME_LIMIT', { help: 'how long one run of ffmpeg may take', default: 30 * 60_000, min: 1_000 }),
  mp4: oneOf('LONGTAKE_REMUXER_MP4', MP4_POLICIES, {
    help: 'which files get an MP4 beside those whose container needs one',
    default: 'on-request',
  }),
  encodeAtOnce: integer('LONGTAKE_REMUXER_ENCODE_AT_ONCE', {
    help: 'how many MP4s may be encoded at the same time, beside the other renditions',
    default: 1,
    min: 1,
    max: 64,
  }),
  decode: oneOf('LONGTAKE_REMUXER_DECODE', DECODED_COVERAGE, {
    help: 'how much of each sealed file is decoded to find what players do not show',
    default: 'all',
  }),
  decodeAtOnce: integer('LONGTAKE_REMUXER_DECODE_AT_ONCE', {
    help: 'how many files may be decoded at the same time, beside the renditions',
    default: 1,
    min: 1,
    max: 64,
  }),
  tempDir: text('LONGTAKE_REMUXER_TEMP_DIR', { help: 'folder for recordings under work', default: tmpdir() }),
  tempBytes: bytes('LONGTAKE_REMUXER_TEMP_BYTES', { help: 'how much all runs together may put there', default: 32 * 1024 ** 3, min: 256 * 1024 ** 2 }),
}
export type Config = ConfigOf<typeof settings>
export const readConfig = (env: Env): Config => readEnv(env, settings)
