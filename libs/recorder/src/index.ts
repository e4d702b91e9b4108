export { RECORDER_ERROR_CODES } from './api.ts'
export { recordedTracks } from './spool/recorded-tracks.ts'
export { preflight } from './preflight/preflight.ts'
export * from './without-preflight.ts'
