import { azureSettings, chunkLogSettings, deletionSettings, duration, kafkaSettings, list, port, readEnv, secret, serviceSettings, tokenSettings, url, type ConfigOf, type Env } from '@longtake/service'

const settings = {
  ...serviceSettings('query', { healthPort: 9106 }),
  ...kafkaSettings,
  ...azureSettings,
  ...tokenSettings,
  ...deletionSettings,
  ...chunkLogSettings,
  port: port('LONGTAKE_QUERY_PORT', { help: 'where API clients and players connect', default: 8080 }),
  publicUrl: url('LONGTAKE_QUERY_PUBLIC_URL', {
    help: 'how this service is reached from outside, as https://recordings.example.org',
    default: 'http://127.0.0.1:8080',
  }),
  gatewayPublicUrl: url('LONGTAKE_GATEWAY_PUBLIC_URL', {
    help: 'how recorders reach the gateway, as wss://ingest.example.org',
    default: 'ws://127.0.0.1:8081',
    protocols: ['ws', 'wss'],
  }),
  corsOrigins: list('LONGTAKE_QUERY_CORS_ORIGINS', {
    help: 'origins whose pages may call the API, as https://exams.example.org,https://review.example.org',
    default: [],
  }),
  frameAncestors: list('LONGTAKE_QUERY_FRAME_ANCESTORS', {
    help: 'origins whose pages may show ours in a frame, as https://exams.example.org',
    default: [],
  }),
  apiKey: secret('LONGTAKE_API_KEY', { help: 'what backends show as their bearer token, to administrate sessions', minLength: 16 }),
  spoolSecret: secret('LONGTAKE_SPOOL_SECRET', {
    help: 'what the keys of browsers\' spools are made from; LONGTAKE_TOKEN_SECRET if unset',
    minLength: 32,
    default: undefined,
  }),
  ingestTokenMs: duration('LONGTAKE_INGEST_TOKEN_TTL', { help: 'how long a recorder may connect with its token', default: 12 * 3_600_000, min: 60_000 }),
  watchTokenMs: duration('LONGTAKE_WATCH_TOKEN_TTL', { help: 'how long a player may watch with its token', default: 12 * 3_600_000, min: 60_000 }),
}
export type Config = ConfigOf<typeof settings>
export const readConfig = (env: Env): Config => readEnv(env, settings)
