import { RecorderError } from './api.ts'

/** @throws RecorderError `unsupported-browser` */
export function assertSupported(): void {
  if (!isSecureContext) throw new RecorderError('unsupported-browser', 'recording needs a secure context: https or localhost')
  if (typeof MediaRecorder === 'undefined' || typeof indexedDB === 'undefined' || typeof WebSocket === 'undefined' || navigator.locks === undefined) {
    throw new RecorderError('unsupported-browser', 'this browser lacks MediaRecorder, IndexedDB, Web Locks or WebSocket')
  }
}
