import {
  BLOBS,
  decodeChunksRecord,
  GROUPS,
  isRecordFault,
  ManifestShape,
  partitionOf,
  TOPICS,
  type Manifest,
  type SessionState,
} from '@longtake/contracts'
import { toPublicSession } from '@longtake/domain'
import { checkSession } from '@longtake/testkit'
import type { SimKafka } from './kafka/cluster.ts'
import type { CommitSeen } from './kafka/group-coordinator.ts'
import { encoded, Observer, type LoggedSession } from './observer.ts'
import type { Plan } from './plan.ts'
import { Recorded } from './recorded.ts'
import type { SimStorage } from './world/storage.ts'
import type { Trace } from './world/trace.ts'
import type { VirtualTime } from './world/virtual-time.ts'

/** Which promise a run broke. */
export type Promised =
  /** A page was told that a chunk is kept, and Kafka does not have it. */
  | 'acknowledged-is-kept'
  /** A group's offset passed something that is not durable. */
  | 'offset-behind-durable'
  /** The status says something better than the truth. */
  | 'honest-status'
  /** The finished files, status or manifest are not what was recorded. */
  | 'right-result'
  /** Something of a deleted session is left. */
  | 'deleted-is-gone'
  /** After all faults are over not everything comes to its end. */
  | 'comes-to-its-end'
  /** A service ended by itself. */
  | 'crash'

export interface Violation {
  readonly promise: Promised
  readonly atMs: number
  readonly what: string
}

export interface ModelOptions {
  readonly time: VirtualTime
  readonly trace: Trace
  readonly kafka: SimKafka
  readonly storage: SimStorage
  readonly plan: Plan
}

/**
 * The promises of Longtake, as plain as they can be said, and the oracle of every run. It hears what pages record and
 * what they are told, reads Kafka's logs from outside, and looks at each commit of an offset, each published status
 * and, in the end, at each finished session. It knows nothing of how the services work.
 */
export class Model {
  readonly violations: Violation[] = []
  readonly recorded = new Recorded()
  readonly #options: ModelOptions
  readonly #observer: Observer
  /** Sessions of which stored media was damaged, removed or archived. */
  readonly #harmed = new Set<string>()

  constructor(options: ModelOptions) {
    this.#options = options
    this.#observer = new Observer(options.kafka, (state, before) => this.#published(state, before))
  }

  broken(promise: Promised, what: string): void {
    this.violations.push({ promise, atMs: this.#options.time.now, what })
    this.#options.trace.line('oracle', `BROKEN ${promise}: ${what}`)
  }

  // ── What pages do ──

  /** A page forgets chunks because it was told that they are kept: Kafka must have exactly those bytes. */
  acknowledged(session: string, part: string, from: number, to: number): void {
    this.#observer.catchUp(this.#partition(session))
    const logged = this.#observer.session(session).parts.get(part)
    for (let seq = from; seq <= to; seq += 1) {
      this.recorded.acknowledged(part, seq)
      const digest = this.recorded.digestOf(part, seq)
      if (digest === undefined || logged?.chunks.get(seq) !== digest) {
        this.broken(
          'acknowledged-is-kept',
          `${session}: chunk ${seq} of part ${part} was acknowledged and is not in Kafka`,
        )
      }
    }
  }

  /** Nobody can send a chunk that its page lost. */
  stolen(session: string, part: string, seq: number): void {
    this.#options.trace.line('oracle', `chunk ${seq} of part ${part} (${session}) was taken from the spool`)
  }

  /** Stored media of a session was damaged: it cannot be recovered, but the status has to report it. */
  harmed(session: string): void {
    this.#harmed.add(session)
  }

  /** A legal hold on everything that the session has so far. */
  hold(session: string): void {
    void this.#blobsOf(session).then((blobs) =>
      this.#options.storage.hold(blobs.filter((blob) => TRACK_FILE.test(blob))),
    )
  }

  // ── What services publish ──

  /** Nothing below a committed offset of block-writer may be needed again. */
  committed({ group, topic, partition, offset, before }: CommitSeen): void {
    if (group !== GROUPS.blockWriter) return
    const { kafka } = this.#options
    this.#observer.catchUp(partition)
    const log = kafka.log(topic, partition)!
    if (offset < before)
      this.broken('offset-behind-durable', `${group} sets ${topic}/${partition} back from ${before} to ${offset}`)
    for (const record of log.records(before).filter((of) => of.offset < offset)) {
      const content = decodeChunksRecord(encoded(record))
      if (isRecordFault(content) || this.#observer.parked.has(`${topic}/${partition}/${record.offset}`)) continue
      const session = this.#observer.session(content.session)
      if (session.isDeleted || !('part' in content)) continue
      const what = 'kind' in content ? `chunk ${content.seq}` : content.type
      const written = session.written.get(content.part)
      const isStored =
        !('kind' in content) ||
        (written?.stored.some(([from, to]) => from <= content.seq && content.seq <= to) ?? false)
      const isClosed =
        'kind' in content || content.type !== 'part-closed' || (written?.closed?.chunks ?? -1) >= content.chunks
      if (written === undefined || (written.rejected === null && !(isStored && isClosed))) {
        this.broken(
          'offset-behind-durable',
          `${group} commits offset ${offset} of ${topic}/${partition} past ${what} of part ${content.part} ` +
            `(${content.session}) at ${record.offset}, which no commit holds`,
        )
        return
      }
    }
  }

  /** What a status says must be true when it is said. */
  #published(state: SessionState, before: SessionState | undefined): void {
    const { session, status, version, finalizedVersion } = state
    if (finalizedVersion > version)
      this.broken('honest-status', `${session}: version ${finalizedVersion} is finalized, the newest is ${version}`)
    const isNewer = before === undefined || BigInt(state.eventsOffset) >= BigInt(before.eventsOffset)
    if (before !== undefined && isNewer && version < before.version)
      this.broken('honest-status', `${session}: version falls from ${before.version} to ${version}`)
    // Storage keeps what is written here, and recorders record at the pace of their clock (with frames of sound far apart).
    const isHarmed = this.#harmed.has(session)
    for (const { blob, verification } of isHarmed ? [] : Object.values(state.tracks).flatMap(({ files }) => files)) {
      for (const { cause, detail } of verification?.faults ?? [])
        this.broken('honest-status', `${session}: ${blob} is reported as ${cause}: ${detail}`)
    }
    for (const { track, unrecorded } of state.gaps) {
      if (!isHarmed && unrecorded?.evidence === 'clock')
        this.broken('honest-status', `${session}: ${unrecorded.missingMs} ms of ${track} are reported as not recorded`)
    }
    if (status !== 'complete') return
    const { parts } = this.#observer.session(session)
    const inFiles = Object.values(state.tracks).flatMap(({ files }) => files.flatMap((file) => file.parts))
    // A held file keeps what it states of a part that goes on in the next: the last file's statement counts.
    const stated = new Map(inFiles.map((of) => [of.part, of]))
    for (const { part, closed, stored } of stated.values()) {
      const whole =
        closed?.clean === true &&
        (closed.chunks === 0 || (stored.length === 1 && stored[0]![0] === 0 && stored[0]![1] === closed.chunks - 1))
      if (!whole)
        this.broken(
          'honest-status',
          `${session} is complete, and part ${part} has ${JSON.stringify(stored)} of ${JSON.stringify(closed)}`,
        )
    }
    // What came after the declared end may still be on its way; what the finish names may not be missing.
    for (const named of Object.values(state.finish?.parts ?? {}).flat()) {
      if (parts.has(named) && !stated.has(named))
        this.broken('honest-status', `${session} is complete without part ${named}`)
    }
  }

  // ── The end ──

  /** What has not come to its end; empty when everything has. */
  async unsettled(): Promise<string[]> {
    const { kafka, plan } = this.#options
    const open: string[] = []
    const reads = [
      [GROUPS.blockWriter, 'chunks'],
      [GROUPS.completeness, 'events'],
      [GROUPS.finalizer, 'status'],
    ] as const
    for (let partition = 0; partition < plan.partitions; partition += 1) {
      this.#observer.catchUp(partition)
      for (const [group, topic] of reads) {
        const { name } = TOPICS[topic]
        const end = kafka.log(name, partition)!.highWatermark
        const committed = kafka.groups.committed(group, name, partition) ?? 0
        if (committed < end) open.push(`${group} is at ${committed} of ${end} in ${name}/${partition}`)
      }
    }
    for (const { id } of plan.sessions) {
      const { status, isDeleted } = this.#observer.session(id)
      if (status === undefined) open.push(`${id} has no status`)
      else if (isDeleted ? status.status !== 'deleted' : !isFinal(status)) {
        open.push(`${id} is ${status.status}, version ${status.version}, finalized ${status.finalizedVersion}`)
      }
      if (isDeleted && (await this.#blobsOf(id)).length > 0) open.push(`${id} is deleted and has blobs`)
    }
    return open
  }

  /** Judges every session by its files, its status and its manifest. */
  async judge(): Promise<void> {
    for (const { id } of this.#options.plan.sessions) {
      const logged = this.#observer.session(id)
      if (logged.isDeleted) {
        const left = await this.#blobsOf(id)
        if (left.length > 0) this.broken('deleted-is-gone', `${id} was deleted, and there is ${left.join(', ')}`)
      } else await this.#judgeSession(logged)
    }
  }

  async #judgeSession(logged: LoggedSession): Promise<void> {
    const { session, status } = logged
    if (status === undefined) return
    const parts = [...logged.parts.values()].flatMap((part) => this.recorded.ledger(part))
    const manifest = status.manifest === null ? null : await this.#read(status.manifest.blob)
    const read: unknown = manifest === null ? undefined : JSON.parse(Buffer.from(manifest).toString())
    // A seal taken before the bit changed is intact, and the file is not read again.
    const sealed = this.#harmed.has(session) && ManifestShape.is(read) ? Object.values(read.tracks) : []
    const sealOf = (blob: string): string | undefined =>
      sealed.flatMap(({ files }) => files).find((file) => file.blob === blob)?.snapshot
    const files = Object.fromEntries(
      await Promise.all(
        Object.entries(status.tracks).map(async ([track, of]) => {
          const playable = of.files.filter(({ bytes }) => bytes > 0)
          return [
            track,
            await Promise.all(playable.map(async ({ blob }) => (await this.#read(blob, sealOf(blob))) ?? new Uint8Array(0))),
          ] as const
        }),
      ),
    )
    if (isFinal(status) && !ManifestShape.is(read))
      this.broken('right-result', `${session} has no valid manifest of version ${status.version}`)
    const urls = { file: BLOBS.file, rendition: () => '' }
    const { findings } = checkSession({
      session,
      parts,
      finished: true,
      status: toPublicSession(status, urls),
      files,
      ...(read === undefined ? {} : { manifest: read as Manifest }),
    })
    if (findings.length > 0)
      this.#options.trace.line('oracle', `the status of ${session} is ${JSON.stringify(toPublicSession(status, urls))}`)
    for (const { code, message } of findings) {
      // Nobody has declared its end, so nobody can say that nothing is missing.
      if (code === 'session-status' && status.status === 'abandoned' && !logged.isFinished) continue
      // Damaged media cannot be recovered; the status has to report it.
      if (this.#harmed.has(session) && status.gaps.length > 0) continue
      this.broken('right-result', `${session}: ${code}: ${message}`)
    }
  }

  async #read(blob: string, snapshot?: string): Promise<Uint8Array | null> {
    return (await this.#options.storage.blobs.readAll(blob, { snapshot }))?.bytes ?? null
  }

  /** Whether any version of a session was finalized: its files are not read again without a new commit. */
  isFinalized(session: string): boolean {
    this.#observer.catchUp(this.#partition(session))
    return (this.#observer.session(session).status?.finalizedVersion ?? 0) > 0
  }

  async #blobsOf(session: string): Promise<string[]> {
    return (await Array.fromAsync(this.#options.storage.blobs.list(BLOBS.session(session)))).map(({ name }) => name)
  }

  #partition(session: string): number {
    return partitionOf(session, this.#options.plan.partitions)
  }
}

const TRACK_FILE = /^[^/]+\/[^/]+\/\d+$/
const FINAL: ReadonlySet<string> = new Set(['complete', 'complete-with-gaps', 'abandoned'])
const isFinal = ({ status, version, finalizedVersion }: SessionState): boolean =>
  FINAL.has(status) && version > 0 && finalizedVersion === version
