export { preflight } from './preflight/preflight.ts'
export * from './without-preflight.ts'
