import { type BlobStore, deletePermitted } from '@longtake/blob'
import { BLOBS, decodeJson, decodeStatus, encodeEvent, isRecordFault, type Manifest, ManifestShape, type RecordingEvent } from '@longtake/contracts'
import type { AssignedPartition, KafkaRecord, Parker, PartitionHandler, Producer } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import { fileOf, missingRenditions, type PlannedRendition } from './plan.ts'
import { render, type Renderer, type RenderOutcome } from './render.ts'
import { inRenderSpan, instruments } from './telemetry.ts'

const DELETED = 'the session was deleted before its renditions were made'
/** Renditions that were made, or could not be, are remembered until their status has surely come. */
const MAX_SETTLED = 1_000

export interface PartitionOptions {
  assigned: Pick<AssignedPartition, 'signal' | 'done'>
  renderer: Renderer
  producer: Pick<Producer, 'send'>
  parker: Parker
  eventsTopic: string
  logger: Logger
  /** Ends a run under way at once: whoever reads the record next begins it anew. */
  stopping: AbortSignal
  now: () => number
}

/**
 * One partition of statuses, one after the other. A record is done when nothing is lacking of its version; what ffmpeg
 * refuses is an event and lacks nothing more. Trouble with storage or Kafka rejects: the record is handed out again.
 */
export class RemuxerPartition implements PartitionHandler {
  readonly #options: PartitionOptions
  readonly #store: BlobStore
  readonly #signal: AbortSignal
  readonly #closing = new AbortController()
  readonly #settled = new Set<string>()
  /** Why it does not go on now; undefined while all is well. */
  fault: string | undefined

  constructor(options: PartitionOptions) {
    this.#options = options
    this.#store = options.renderer.store
    this.#signal = AbortSignal.any([options.assigned.signal, options.stopping, this.#closing.signal])
  }

  async handle(record: KafkaRecord): Promise<void> {
    try {
      await this.#handle(record)
      this.fault = undefined
    } catch (error) {
      // Neither done nor to be handed out again here.
      if (this.#signal.aborted) return
      this.fault = `remuxing fails: ${error instanceof Error ? error.message : String(error)}`
      throw error
    }
    this.#options.assigned.done(record)
  }

  close(): void {
    this.#closing.abort(new Error('the partition is given up'))
  }

  async #handle(record: KafkaRecord): Promise<void> {
    if (record.tombstone) return
    const { parker, logger } = this.#options
    const state = decodeStatus({ key: record.key, value: record.value, headers: { ...record.headers } })
    if (isRecordFault(state)) return parker.park(record, { reason: state.fault, details: state.details })
    const { session } = state
    if (state.status === 'deleted') {
      // The status may come again after its id was used anew: whose these are, the tombstone says.
      if (!(await this.#isDeleted(session))) return
      // Block-writer erases the session; a rendition may have been written while it did. What is held, it retries.
      const { deleted } = await deletePermitted(this.#store, BLOBS.renditionPrefix(session), { signal: this.#signal })
      if (deleted > 0) logger.info({ session, deleted }, 'renditions of a deleted session are deleted')
      return
    }
    const missing = missingRenditions(state).filter((planned) => !this.#settled.has(keyOf(planned)))
    if (missing.length === 0 || state.manifest === null) return
    const manifest = await this.#readManifest(state.manifest.blob)
    if (manifest === 'none') {
      if (await this.#isDeleted(session)) return logger.debug({ session }, DELETED)
      return logger.warn({ session, manifest: state.manifest.blob }, 'a finalized session has no manifest')
    }
    if (manifest === 'unreadable') return parker.park(record, { reason: 'manifest', details: `${state.manifest.blob} is no manifest` })
    for (const planned of missing) await this.#make(record, planned, manifest)
  }

  async #make(record: KafkaRecord, planned: PlannedRendition, manifest: Manifest): Promise<void> {
    const { session, version, track, kind, source, blob } = planned
    const sealed = manifest.tracks[track]?.files.find((file) => file.blob === source.blob)
    if (sealed === undefined) return
    const { renderer, producer, eventsTopic, logger } = this.#options
    const began = performance.now()
    const outcome = await inRenderSpan(planned, () => render(renderer, planned, sealed, this.#signal))
    if (outcome.outcome === 'failed' && (await this.#isDeleted(session))) return logger.debug({ session }, DELETED)
    const event = this.#eventOf(planned, outcome)
    if (event !== undefined) await producer.send({ topic: eventsTopic, partition: record.partition, ...encodeEvent(event) })
    this.#remember(keyOf(planned))
    const ms = performance.now() - began
    instruments.renditions.add(1, { kind, outcome: outcome.outcome })
    instruments.renditionDuration.record(ms / 1000, { kind, outcome: outcome.outcome })
    const about = { session, version, track, kind, ms: Math.round(ms) }
    if (outcome.outcome === 'failed') logger.warn({ ...about, reason: outcome.reason }, 'a rendition could not be made')
    else logger.info({ ...about, ...(outcome.outcome === 'ready' ? { blob, bytes: outcome.bytes } : {}) }, outcome.outcome === 'ready' ? 'rendition ready' : 'nothing to make a rendition of')
  }

  #eventOf({ session, version, track, kind, source, blob, mimeType }: PlannedRendition, outcome: RenderOutcome): RecordingEvent | undefined {
    const file = fileOf(kind, source)
    const about = { session, at: new Date(this.#options.now()).toISOString(), version, track, kind, ...(file === 0 ? {} : { file }) }
    switch (outcome.outcome) {
      case 'ready':
        return { type: 'rendition-ready', ...about, blob, mimeType, bytes: outcome.bytes }
      case 'failed':
        return { type: 'rendition-failed', ...about, reason: outcome.reason }
      case 'pointless':
        return undefined
    }
  }

  /** What is missing of such a session is missing on purpose; its status is on its way. */
  async #isDeleted(session: string): Promise<boolean> {
    return (await this.#store.properties(BLOBS.tombstone(session), { signal: this.#signal })) !== null
  }

  async #readManifest(blob: string): Promise<Manifest | 'none' | 'unreadable'> {
    const read = await this.#store.readAll(blob, { signal: this.#signal })
    if (read === null) return 'none'
    const value = decodeJson(read.bytes)
    return ManifestShape.is(value) ? value : 'unreadable'
  }

  /** Statuses that were written before its event came still call it missing. */
  #remember(key: string): void {
    this.#settled.add(key)
    const [oldest] = this.#settled
    if (this.#settled.size > MAX_SETTLED && oldest !== undefined) this.#settled.delete(oldest)
  }
}

const keyOf = ({ session, version, track, kind, source }: Pick<PlannedRendition, 'session' | 'version' | 'track' | 'kind' | 'source'>): string => `${session} ${version} ${track} ${kind} ${source.file}`
