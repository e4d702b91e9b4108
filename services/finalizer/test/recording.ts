import { createHash } from 'node:crypto'
import { type BlobStore, COMMIT_ID, MemoryBlobStore, newBlockIds } from '@longtake/blob'
import { BLOBS, type EventOf, type PartState, type RecordingEvent, type SessionState } from '@longtake/contracts'
import { evolve, judge } from '@longtake/domain'

export const part = '00000000-0000-4000-8000-00000000000a'
export const NOW = Date.parse('2026-03-01T10:10:00.000Z')
const START = '2026-03-01T10:00:00.000Z'

/** Storage that keeps one block, counted from 0 as they are staged, with its last bit changed. */
export class DecayingStore extends MemoryBlobStore {
  readonly #block: number
  #staged = 0

  constructor(block: number) {
    super()
    this.#block = block
  }

  override stageBlock(blob: string, blockId: string, bytes: Uint8Array): Promise<void> {
    const kept = Uint8Array.from(bytes)
    if (this.#staged++ === this.#block) kept[kept.length - 1]! ^= 1
    return super.stageBlock(blob, blockId, kept)
  }
}

/** A session as block-writer and completeness would leave it, with real blobs in the store. */
export class Recording {
  readonly session: string
  readonly #store: BlobStore
  readonly #newBlockId = newBlockIds()
  readonly #blocks = new Map<string, string[]>()
  readonly #commits = new Map<string, number>()
  #offset = 0
  #state: SessionState | undefined

  constructor(store: BlobStore, session: string) {
    this.#store = store
    this.session = session
  }

  get state(): SessionState {
    if (this.#state === undefined) throw new Error('nothing was recorded yet')
    return this.#state
  }

  /** Commits one more block of the track, and returns the event that tells it, not yet folded in. */
  commit(track: string, stored: PartState['stored'], fields: Partial<PartState> = {}): Promise<EventOf<'blocks-committed'>> {
    return this.#commit(track, this.#blocks.get(track) ?? [], Buffer.from(`${track} ${JSON.stringify(stored)}`), stored, fields)
  }

  /** Commits a file of real media as it is, block by block, and folds in an event that states of it what `fields` say. */
  async commitFile(track: string, blocks: readonly Uint8Array[], durationMs: number, fields: Partial<PartState>): Promise<void> {
    const ids: string[] = []
    for (const bytes of blocks.slice(0, -1)) {
      ids.push(this.#newBlockId(bytes))
      await this.#store.stageBlock(BLOBS.file(this.session, track, 0), ids.at(-1)!, bytes)
    }
    this.fold({ ...(await this.#commit(track, ids, Buffer.from(blocks.at(-1)!), [[0, 4]], { closed: { chunks: 5, clean: true }, ...fields })), durationMs })
  }

  async #commit(track: string, kept: readonly string[], bytes: Buffer | null, stored: PartState['stored'], fields: Partial<PartState>): Promise<EventOf<'blocks-committed'>> {
    const blob = BLOBS.file(this.session, track, 0)
    const ids = [...kept]
    const number = (this.#commits.get(track) ?? 0) + 1
    const commitId = `${track}-commit-${number}`
    const before = await this.#store.properties(blob)
    if (bytes !== null) {
      ids.push(this.#newBlockId(bytes))
      await this.#store.stageBlock(blob, ids.at(-1)!, bytes)
    }
    const condition = before === null ? { ifNoneMatch: '*' as const } : { ifMatch: before.etag }
    const { outcome } = await this.#store.commitBlockList(blob, ids, { ...condition, contentType: 'video/webm', metadata: { [COMMIT_ID]: commitId, number: String(number) } })
    if (outcome !== 'committed') throw new Error(`the commit of ${blob} ended as ${outcome}`)
    this.#blocks.set(track, ids)
    this.#commits.set(track, number)
    const chunks = stored.reduce((sum, [from, to]) => sum + to - from + 1, 0)
    const state: PartState = { part, client: null, mimeType: 'video/webm', startedAt: START, startMs: 0, endMs: 1000, stored, chunks, bytes: 10, undecodable: [], missing: [], closed: null, lost: [], rejected: null, ...fields }
    return {
      type: 'blocks-committed', session: this.session, at: START, track, file: 0, blob, mimeType: 'video/webm',
      bytes: (await this.#store.properties(blob))!.bytes, durationMs: 1000, startedAt: START,
      commit: { number, id: commitId }, generation: 0, codecs: ['V_VP9'], parts: [state], nextOffset: String(number),
      blocks: { count: ids.length, sha256: createHash('sha256').update(ids.join('\n')).digest('hex') },
    }
  }

  /** The same content under a new commit, its last block uploaded anew, as a rewritten header is. */
  async commitSame(track: string): Promise<void> {
    const { blob, parts } = this.state.tracks[track]!.files[0]!
    const lists = (await this.#store.blockList(blob))!.committed
    const content = (await this.#store.readAll(blob))!.bytes
    const last = lists.at(-1)!
    this.fold(await this.#commit(track, lists.slice(0, -1).map(({ id }) => id), content.subarray(content.length - last.bytes), parts[0]!.stored, parts[0]!))
  }

  async commitWhole(track: string, chunks: number): Promise<void> {
    this.fold(await this.commit(track, [[0, chunks - 1]], { closed: { chunks, clean: true } }))
  }

  /** A part without chunks: its file's blob is empty. */
  async commitNothing(track: string): Promise<void> {
    this.fold(await this.#commit(track, [], null, [], { closed: { chunks: 0, clean: true }, startMs: null, endMs: null }))
  }

  finish(...tracks: string[]): SessionState {
    return this.fold({ type: 'session-finished', session: this.session, at: START, parts: Object.fromEntries(tracks.map((track) => [track, [part]])), offset: '1' })
  }

  fold(event: RecordingEvent): SessionState {
    const { state } = judge(evolve(this.#state, event, String(this.#offset++)), NOW)
    this.#state = { ...state, revision: state.revision + 1 }
    return this.#state
  }
}
