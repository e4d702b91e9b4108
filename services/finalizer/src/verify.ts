import { createHash } from 'node:crypto'
import { type Block, type BlobStore, COMMIT_ID } from '@longtake/blob'
import type { FileFault, FileState, SessionState } from '@longtake/contracts'
import { countOf, isWhole, partsOf, statusOf } from '@longtake/domain'

/** The blob's metadata in which block-writer counts its commits. */
const COMMIT_NUMBER = 'number'

export type Verdict =
  /** The blob is, byte for byte as far as its block list tells, what the state says of it. */
  | { verdict: 'verified'; etag: string; metadata: Readonly<Record<string, string>>; blocks: readonly Block[] }
  /** A newer commit exists: its status is on its way. */
  | { verdict: 'superseded' }
  | { verdict: 'mismatch'; cause: FileFault['cause']; reason: string }

/** Compares what storage has with what the state says of a file. */
export async function verifyFile(store: BlobStore, file: FileState, signal: AbortSignal): Promise<Verdict> {
  const { blob, commit, blocks, bytes, mimeType } = file
  const mismatch = (reason: string, cause: FileFault['cause'] = 'file-changed'): Verdict => ({ verdict: 'mismatch', cause, reason })
  const properties = await store.properties(blob, { signal })
  if (properties === null) return mismatch('there is no such blob', 'file-missing')
  const { etag, metadata, contentType } = properties
  const number = Number(metadata[COMMIT_NUMBER])
  if (!Number.isSafeInteger(number)) return mismatch('its metadata has no commit number')
  if (number > commit.number) return { verdict: 'superseded' }
  if (number < commit.number) return mismatch(`it is at commit ${number}, the status at ${commit.number}`)
  if (metadata[COMMIT_ID] !== commit.id) return mismatch(`its commit ${number} is ${metadata[COMMIT_ID]}, the status has ${commit.id}`)
  if (properties.bytes !== bytes) return mismatch(`it has ${properties.bytes} bytes, the status says ${bytes}`)
  if (contentType !== mimeType) return mismatch(`it is ${contentType}, the status says ${mimeType}`)

  const listed = (await store.blockList(blob, { signal }))?.committed ?? []
  const faults = [
    ...(listed.length === blocks.count ? [] : [`it has ${listed.length} blocks, the status says ${blocks.count}`]),
    ...(digestOf(listed.map(({ id }) => id)) === blocks.sha256 ? [] : ['its block ids are not those of the commit']),
    ...(listed.reduce((sum, block) => sum + block.bytes, 0) === bytes ? [] : ['its blocks do not add up to its length']),
  ]
  if (faults.length === 0) return { verdict: 'verified', etag, metadata, blocks: listed }
  // The list was read after the properties: a commit in between explains any difference.
  const now = await store.properties(blob, { signal })
  return now !== null && now.etag !== etag ? { verdict: 'superseded' } : mismatch(faults.join('; '))
}

const digestOf = (ids: readonly string[]): string => createHash('sha256').update(ids.join('\n')).digest('hex')

/** What contradicts itself in a completed state; empty when it may be vouched for. */
export function contradictions(state: SessionState): string[] {
  const faults: string[] = []
  // By whose clock it was completed is not ours to ask: what it is once no more time can change it, that it must be called.
  const status = statusOf(state, Infinity)
  if (status !== state.status) faults.push(`the status says ${state.status}, its facts ${status}`)
  for (const { track, part } of partsOf(state)) {
    const name = `part ${part.part} of ${track}`
    if (countOf(part.stored) !== part.chunks) faults.push(`${name} has ${part.chunks} chunks, its stored ranges ${countOf(part.stored)}`)
    if (state.status === 'complete' && !isWhole(part)) faults.push(`${name} is not whole in a complete session`)
  }
  const open = state.gaps.filter((gap) => gap.state === 'open')
  if (open.length > 0) faults.push(`${open.length} gaps are open`)
  return faults
}
