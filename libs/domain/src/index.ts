export * from './ranges.ts'
