import type { Manifest, PublicSession } from '@longtake/contracts'
import { concat, loadRecording, newLedger, syntheticChunks, type PartLedger, type SessionTruth } from '../src/index.ts'
import { FIRST_START, part, toWrite } from './good-file.ts'
import { mux } from './muxer.ts'

export const P1 = '00000000-0000-4000-8000-000000000001'
export const P2 = '00000000-0000-4000-8000-000000000002'
export const P3 = '00000000-0000-4000-8000-000000000003'
export const at = (ms: number): string => new Date(FIRST_START + ms).toISOString()

export function ledger(id: string, chunks: readonly Uint8Array[], startsMs: number, track = 'webcam'): PartLedger {
  const one = newLedger({ track, part: id, mimeType: 'video/webm', startedAt: at(startsMs) })
  for (const [seq, bytes] of chunks.entries()) {
    one.made.set(seq, bytes)
    one.acknowledged.set(seq, bytes)
  }
  one.closed = { chunks: chunks.length, clean: true }
  return one
}

export interface Told {
  truth: SessionTruth & { parts: PartLedger[] }
  status: PublicSession
  manifest: Manifest
  files: Record<string, Uint8Array[]>
}

/** Two parts of a webcam in two files (as where they cannot be joined), and a screen kept as MP4. */
export function rightSession(): Told {
  const first = syntheticChunks({ durationMs: 5_000, bytesPerSecond: 10_000, seed: 1 })
  const second = syntheticChunks({ durationMs: 5_000, bytesPerSecond: 10_000, seed: 2 })
  const screen = loadRecording('chrome-mp4').chunks
  const parts = [ledger(P1, first, 0), ledger(P2, second, 8_000), ledger(P1, screen, 100, 'screen')]
  const written = [first, second].map((chunks) => mux(toWrite([{ checked: part('p', chunks), shiftMs: 0 }])))
  const files: Record<string, Uint8Array[]> = { webcam: written, screen: [concat(screen)] }
  const fileFacts = (track: string) => (files[track] ?? []).map((bytes, index) => ({ mimeType: track === 'screen' ? 'video/mp4' : 'video/webm', bytes: bytes.length, durationMs: 5_000, startOffsetMs: index * 8_000 }))
  const partFacts = (track: string) => parts.filter((one) => one.track === track)
  const trackStatus = (track: string): PublicSession['tracks'][string] => ({
    url: `/${track}`, durationMs: 13_000, bytes: fileFacts(track).reduce((sum, { bytes }) => sum + bytes, 0), startOffsetMs: 0, renditions: [],
    timeline: [{ mediaMs: 0, offsetMs: 0 }, { mediaMs: 5_000, offsetMs: 8_000 }],
    files: fileFacts(track).map((facts, index) => ({ ...facts, url: `/${track}/${index}` })),
    parts: partFacts(track).map(({ part: id, startedAt, made }) => ({ part: id, startedAt, chunks: made.size, stored: made.size, closed: true, clean: true, rejected: null, gaps: [] })),
  })
  const trackManifest = (track: string): Manifest['tracks'][string] => ({
    files: fileFacts(track).map((facts, index) => ({ ...facts, blob: `s1/${track}/${index}`, snapshot: 'then', etag: 'e', commit: { number: 1, id: 'c' }, blocks: { count: 1, sha256: 'x' }, parts: [partFacts(track)[index]?.part ?? ''] })),
    parts: partFacts(track).map(({ part: id, startedAt, made, mimeType }) => ({ part: id, mimeType, startedAt, chunks: made.size, bytes: concat(made.values()).length, stored: [[0, made.size - 1]], closed: { chunks: made.size, clean: true } })),
  })
  const common = { version: 1, status: 'complete' as const, startedAt: at(0), endedAt: at(13_000), metadata: {} }
  return {
    truth: { session: 's1', finished: true, parts },
    status: { ...common, id: 's1', finalizedVersion: 1, interruptedAfterMs: 120_000, abandonedAfterMs: 86_400_000, tracks: { webcam: trackStatus('webcam'), screen: trackStatus('screen') } },
    manifest: { ...common, format: 'longtake.manifest.v1', session: 's1', finalizedAt: at(14_000), tracks: { webcam: trackManifest('webcam'), screen: trackManifest('screen') }, gaps: [] },
    files,
  }
}
