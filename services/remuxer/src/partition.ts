import { type BlobStore, deletePermitted } from '@longtake/blob'
import {
  BLOBS, decodeJson, decodeStatus, encodeEvent, isRecordFault, type Manifest, ManifestShape, messageOf, type RecordingEvent, type SessionState,
} from '@longtake/contracts'
import type { AssignedPartition, KafkaRecord, Parker, PartitionHandler, Producer } from '@longtake/kafka'
import type { Logger } from '@longtake/service'
import { BackgroundQueue } from './background-queue.ts'
import { type Decoder, decodeFile } from './decode.ts'
import { withSlot } from './with-slot.ts'
import { fileOf, mayLackDecoding, missingDecodings, missingRenditions } from './plan.ts'
import type { PlannedDecoding, PlannedRendition, SealedFile } from './plan.ts'
import { render, type Renderer, type RenderOutcome } from './render.ts'
import { inDecodeSpan, inRenderSpan, instruments } from './telemetry.ts'

const DELETED = 'the session was deleted before its renditions were made'
/** Renditions that were made, or could not be, are remembered until their status has surely come. */
const MAX_SETTLED = 1_000
/** While storage or Kafka cannot be reached. */
const RETRY_DELAYS = { firstMs: 500, maxMs: 30_000 }

export interface PartitionOptions {
  assigned: Pick<AssignedPartition, 'signal' | 'done'>
  renderer: Renderer
  decoder: Decoder
  producer: Pick<Producer, 'send'>
  parker: Parker
  eventsTopic: string
  logger: Logger
  /** Ends a run under way at once: whoever reads the record next begins it anew. */
  stopping: AbortSignal
  now: () => number
}

/** An MP4 that takes minutes to make, and what it is made of. */
type PlannedEncoding = PlannedRendition & { sealed: SealedFile }
/** The work of a status that is left to the queues. */
interface Left {
  encodings: readonly PlannedEncoding[]
  decodings: readonly PlannedDecoding[]
}
const NOTHING_LEFT: Left = { encodings: [], decodings: [] }

/**
 * One partition of statuses, one after the other. A record is done when nothing is lacking of its version; what ffmpeg
 * refuses is an event and lacks nothing more. Trouble with storage or Kafka rejects: the record is handed out again.
 * Once the quick renditions of a record are made, its files are encoded and decoded while the next records are handled.
 */
export class RemuxerPartition implements PartitionHandler {
  readonly #options: PartitionOptions
  readonly #store: BlobStore
  readonly #signal: AbortSignal
  readonly #closing = new AbortController()
  readonly #settled = new Set<string>()
  readonly #encodings: BackgroundQueue<PlannedEncoding>
  readonly #decodings: BackgroundQueue<PlannedDecoding>
  /** Offsets of records that one of the two queues has finished. */
  readonly #halfDone = new Set<bigint>()
  #renderFault: string | undefined

  constructor(options: PartitionOptions) {
    this.#options = options
    this.#store = options.renderer.store
    this.#signal = AbortSignal.any([options.assigned.signal, options.stopping, this.#closing.signal])
    const common = {
      done: (record: KafkaRecord) => this.#done(record),
      signal: this.#signal,
      logger: options.logger,
      delays: RETRY_DELAYS,
    }
    this.#encodings = new BackgroundQueue({ ...common, work: (record, planned) => this.#encode(record, planned) })
    this.#decodings = new BackgroundQueue({ ...common, work: (record, planned) => this.#decode(record, planned) })
  }

  /** Why it does not go on now; undefined while all is well. */
  get fault(): string | undefined {
    return this.#renderFault ?? this.#encodings.fault ?? this.#decodings.fault
  }

  async handle(record: KafkaRecord): Promise<void> {
    let left: Left
    try {
      left = await this.#handle(record)
      this.#renderFault = undefined
    } catch (error) {
      // Neither done nor to be handed out again here.
      if (this.#signal.aborted) return
      this.#renderFault = `remuxing fails: ${messageOf(error)}`
      throw error
    }
    await this.#encodings.set({ record, planned: left.encodings })
    await this.#decodings.set({ record, planned: left.decodings })
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the partition is revoked'))
    await Promise.all([this.#encodings.close(), this.#decodings.close()])
  }

  #done(record: KafkaRecord): void {
    if (this.#halfDone.delete(record.offset)) this.#options.assigned.done(record)
    else this.#halfDone.add(record.offset)
  }

  /** Makes the quick renditions; resolves with the work that is left. */
  async #handle(record: KafkaRecord): Promise<Left> {
    if (record.tombstone) return NOTHING_LEFT
    const { parker, logger } = this.#options
    const state = decodeStatus({ key: record.key, value: record.value, headers: { ...record.headers } })
    if (isRecordFault(state)) {
      await parker.park(record, { reason: state.fault, details: state.details })
      return NOTHING_LEFT
    }
    const { session } = state
    if (state.status === 'deleted') {
      // The status may come again after its id was used anew: whose these are, the tombstone says.
      if (!(await this.#isDeleted(session))) return NOTHING_LEFT
      // Block-writer erases the session; a rendition may have been written while it did. What is held, it retries.
      const { deleted } = await deletePermitted(this.#store, BLOBS.renditionPrefix(session), { signal: this.#signal })
      if (deleted > 0) logger.info({ session, deleted }, 'renditions of a deleted session are deleted')
      return NOTHING_LEFT
    }
    const planned = missingRenditions(state, this.#options.renderer.mp4Policy)
    const missing = planned.filter((one) => !this.#settled.has(keyOf(one)))
    const decodes = this.#options.decoder.coverage !== 'none' && mayLackDecoding(state)
    if ((missing.length === 0 && !decodes) || state.manifest === null) return NOTHING_LEFT
    const manifest = await this.#findManifest(record, state, state.manifest.blob)
    if (manifest === undefined) return NOTHING_LEFT
    const encodings: PlannedEncoding[] = []
    for (const planned of missing) {
      const sealed = manifest.tracks[planned.track]?.files.find(({ blob }) => blob === planned.source.blob)
      if (sealed === undefined) continue
      if (planned.codecs === 'encoded') encodings.push({ ...planned, sealed })
      else await this.#make(record, planned, sealed)
    }
    const decodings = decodes ? missingDecodings(state, manifest) : []
    return { encodings, decodings: decodings.filter((one) => !this.#settled.has(decodingKeyOf(one))) }
  }

  /** The manifest of a finalized version; undefined where there is none that can be used, which is then reported. */
  async #findManifest(record: KafkaRecord, { session }: SessionState, blob: string): Promise<Manifest | undefined> {
    const { parker, logger } = this.#options
    const manifest = await this.#readManifest(blob)
    if (manifest === 'none') {
      if (await this.#isDeleted(session)) logger.debug({ session }, DELETED)
      else logger.warn({ session, manifest: blob }, 'a finalized session has no manifest')
      return undefined
    }
    if (manifest !== 'unreadable') return manifest
    await parker.park(record, { reason: 'manifest', details: `${blob} is no manifest` })
    return undefined
  }

  async #decode(record: KafkaRecord, planned: PlannedDecoding): Promise<void> {
    // Another status of the same version was queued before the event of the first one came.
    if (this.#settled.has(decodingKeyOf(planned))) return
    const { decoder, producer, eventsTopic, logger, now } = this.#options
    const { session, version, track, source, sealed } = planned
    const began = performance.now()
    const found = await withSlot(decoder.atOnce, this.#signal, () =>
      inDecodeSpan(planned, () => decodeFile(decoder, source, sealed, this.#signal)),
    )
    if (found.coverage === 'none' && (await this.#isDeleted(session))) return logger.debug({ session }, DELETED)
    const at = new Date(now()).toISOString()
    const event: RecordingEvent = { type: 'file-decoded', session, at, version, track, file: source.file, commit: sealed.commit, ...found }
    await producer.send({ topic: eventsTopic, partition: record.partition, ...encodeEvent(event) })
    this.#remember(decodingKeyOf(planned))
    const ms = performance.now() - began
    const { coverage, undecodable, reason } = found
    instruments.decodings.add(1, { coverage, outcome: undecodable.length > 0 ? 'undecodable' : 'shown' })
    instruments.decodingDuration.record(ms / 1000, { coverage })
    const about = { session, version, track, file: source.file, coverage, ms: Math.round(ms), ...(reason === undefined ? {} : { reason }) }
    if (undecodable.length > 0) logger.warn({ ...about, undecodable }, 'media found that a decoder does not show')
    else if (coverage === 'none') logger.warn(about, 'file not decoded: damage in it would stay unnoticed')
    else logger.info(about, 'file decoded')
  }

  async #encode(record: KafkaRecord, { sealed, ...planned }: PlannedEncoding): Promise<void> {
    // Another status of the same version was queued before the event of the first one came.
    if (!this.#settled.has(keyOf(planned))) await this.#make(record, planned, sealed)
  }

  async #make(record: KafkaRecord, planned: PlannedRendition, sealed: SealedFile): Promise<void> {
    const { session, version, track, kind, blob } = planned
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

const decodingKeyOf = ({ session, track, source, sealed }: PlannedDecoding): string =>
  `${session} decoded ${track} ${source.file} ${sealed.commit.id}`

const keyOf = ({ session, version, track, kind, source }: Pick<PlannedRendition, 'session' | 'version' | 'track' | 'kind' | 'source'>): string => `${session} ${version} ${track} ${kind} ${source.file}`
