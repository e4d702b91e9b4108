import { RecorderError, type PendingRecording, type RecoveryAccess, type RecoveryOptions, type RecoveryOutcome, type RecoveryProgress, type RecoveryReport } from '../api.ts'
import { importSpoolKey } from '../spool/chunk-cipher.ts'
import { deferred } from '../deferred.ts'
import { inTime, inTimeOr } from '../in-time.ts'
import { ingestUrlOf } from '../upload/ingest-url.ts'
import { clientLock, holdLock } from '../spool/locks.ts'
import { isAnythingRecorded } from '../spool/recorded-tracks.ts'
import { endsSession, restorePart } from './recovery-plan.ts'
import { retryDelay } from '../upload/retry-policy.ts'
import { forgetPageEnd, pageEndOf, wasDiscarded } from '../spool/page-end.ts'
import { Spool } from '../spool/spool.ts'
import { done } from '../spool/indexed-db.ts'
import { forgetClient, spooledClients, storeOf, withSpoolDatabase, type ClientRecord } from '../spool/spool-database.ts'
import { TypedEventTarget } from '../typed-events.ts'
import type { Action } from '../upload/action.ts'
import { Uplink } from '../upload/uplink.ts'
import { UploadSession } from '../upload/upload-session.ts'
import { WorkerTimers } from '../worker-timers.ts'

const PROGRESS_EVERY_MS = 200
/** How often it looks whether something is being recorded, which needs the line more than what is old. */
const YIELD_EVERY_MS = 2000
/** A person may have to log in first. */
export const ACCESS_PATIENCE_MS = 60_000

/**
 * Uploads what pages of this origin left on this computer when they died, and tells of each recorder what became of it.
 * What a living page records is left alone, and what another page recovers already.
 * @throws RecorderError `spool-failed`
 */
export async function recoverPending(options: RecoveryOptions): Promise<RecoveryReport[]> {
  // Where these are missing nothing was recorded either.
  if (!isSecureContext || typeof indexedDB === 'undefined' || navigator.locks === undefined) return []
  const clients = await withSpoolDatabase(spooledClients).catch((cause: unknown) => {
    throw cause instanceof RecorderError ? cause : new RecorderError('spool-failed', 'the browser does not open its store', { cause })
  })
  const reports = await Promise.all(clients.map((client) => new Recovery(client, options).run()))
  return reports.filter((report) => report !== null)
}

/** Of one recorder. */
class Recovery extends TypedEventTarget<{ error: RecorderError; progress: RecoveryProgress }> {
  readonly #client: ClientRecord
  #pending: PendingRecording
  readonly #options: RecoveryOptions
  readonly #session = new UploadSession()
  readonly #timers = new WorkerTimers()
  readonly #stopped = deferred<'stopped'>()
  #progressDue = false

  constructor(client: ClientRecord, options: RecoveryOptions) {
    super()
    this.#client = client
    this.#options = options
    const { session, ingestUrl, startedAt, stopped } = client
    this.#pending = { session, client: client.client, ingestUrl, startedAt, stopped }
    if (options.onError !== undefined) this.on('error', (error) => options.onError?.(error, this.#pending))
    this.on('progress', (progress) => options.onProgress?.(progress))
    if (options.signal?.aborted === true) this.#stopped.resolve('stopped')
    options.signal?.addEventListener('abort', () => this.#stopped.resolve('stopped'), { once: true })
  }

  /** @returns null when somebody else has it, or had it and left nothing */
  async run(): Promise<RecoveryReport | null> {
    let outcome: RecoveryOutcome | null
    try {
      outcome = await this.#recover()
    } catch (cause) {
      this.#error(cause instanceof RecorderError ? cause : new RecorderError('spool-failed', 'the spool cannot be read', { cause }))
      outcome = cause instanceof RecorderError && cause.code === 'wrong-key' ? 'wrong-key' : 'failed'
    }
    this.#timers.close()
    return outcome === null ? null : { ...this.#pending, outcome, tracks: this.#session.progress() }
  }

  async #recover(): Promise<RecoveryOutcome | null> {
    const isLeft = await this.#alone(() => Promise.resolve(true))
    if (isLeft === null) return null
    // Nobody is kept from it meanwhile: whoever opens it first does it.
    const access = await this.#access()
    if (access === 'stopped') return 'stopped'
    if (access === null) return 'skipped'
    return this.#alone(async (record) => {
      if (access !== 'discard') return this.#upload(record, access)
      await withSpoolDatabase((database) => forgetClient(database, this.#client))
      forgetPageEnd(record.session, record.client)
      return 'discarded'
    })
  }

  /** Does what it says while nobody else may. @returns null when somebody else has it, or had it and left nothing */
  async #alone<T>(work: (record: ClientRecord) => Promise<T>): Promise<T | null> {
    const { session, client } = this.#client
    const release = await holdLock(clientLock(session, client))
    if (release === null) return null
    try {
      // Read again: who held the lock before may have brought it to its end, or have written more.
      const record = await withSpoolDatabase((database) => done(storeOf(database, 'clients').get([session, client])))
      return record === undefined ? null : await work(record)
    } finally {
      release()
    }
  }

  async #upload(record: ClientRecord, access: RecoveryAccess): Promise<RecoveryOutcome> {
    this.#pending = { ...this.#pending, stopped: record.stopped }
    const resumed = await Spool.resume(record, await importSpoolKey(access.spoolKey))
    if (resumed === 'wrong-key') throw new RecorderError('wrong-key', `the key does not open the spool of session ${this.#pending.session}`)
    const { spool, parts, chunks } = resumed
    for (const part of parts.toSorted((a, b) => a.startedAt - b.startedAt)) {
      this.#session.restorePart(restorePart(part, chunks.filter((chunk) => chunk.part === part.part)))
    }
    const at = pageEndOf(record.session, record.client)
    for (const report of record.reports ?? []) this.#session.report(report)
    if (at !== null && record.reports?.some(({ id }) => id === record.client) !== true) this.#session.report({ event: 'page-closed', at, id: record.client })
    if (at === null && wasDiscarded(record.client)) this.#session.report({ event: 'discarded', at: chunks.reduce((last, { capturedAt }) => Math.max(last, capturedAt), record.startedAt) })
    const isEnd = access.finish === true || endsSession(record, await withSpoolDatabase(spooledClients))
    const outcome = parts.length === 0 ? 'uploaded' : await this.#send(spool, access, isEnd ? this.#session.finish(record.scope) : this.#session.leave())
    if (outcome === 'uploaded' || outcome === 'discarded') await spool.clear()
    await spool.close()
    return outcome
  }

  /** Asks until there is an answer: a computer that is offline is no reason to leave it for another day. */
  async #access(): Promise<RecoveryAccess | 'discard' | 'stopped' | null> {
    for (let failures = 1; ; failures++) {
      try {
        const access = Promise.race([this.#stopped.promise, this.#options.access(this.#pending)])
        return await inTime(access, ACCESS_PATIENCE_MS, () => new Error('it was not answered'))
      } catch (cause) {
        this.#error(new RecorderError('token-failed', 'access to what was left on this computer was not to be had', { cause }))
      }
      await this.#wait(retryDelay({ code: null, fruitless: failures }, Math.random()))
    }
  }

  async #send(spool: Spool, { url, token }: RecoveryAccess, end: Action[]): Promise<RecoveryOutcome> {
    const over = deferred<RecoveryOutcome>()
    const uplink = new Uplink(
      { url: ingestUrlOf(url ?? this.#pending.ingestUrl, this.#pending.client).url, token, session: this.#session, spool, timers: this.#timers },
      {
        connection: () => undefined,
        progressed: () => this.#progressSoon(),
        error: (error) => this.#error(error),
        settled: () => over.resolve('uploaded'),
        ended: (cause) => over.resolve(cause === 'deleted' ? 'discarded' : cause),
      },
    )
    uplink.perform(end)
    const yieldLine = async (): Promise<void> => uplink.perform(this.#session.yieldLine(await inTimeOr(isAnythingRecorded(), YIELD_EVERY_MS, false)))
    await yieldLine()
    this.#timers.every(YIELD_EVERY_MS, () => void yieldLine())
    uplink.start()
    const outcome = await Promise.race([this.#stopped.promise, over.promise])
    uplink.stop()
    return outcome
  }

  async #wait(ms: number): Promise<void> {
    const waited = deferred<void>()
    const done = (): void => waited.resolve()
    const cancel = this.#timers.after(ms, done)
    addEventListener('online', done)
    await Promise.race([this.#stopped.promise, waited.promise])
    removeEventListener('online', done)
    cancel()
  }

  #progressSoon(): void {
    if (this.#progressDue) return
    this.#progressDue = true
    this.#timers.after(PROGRESS_EVERY_MS, () => {
      this.#progressDue = false
      this.emit('progress', { ...this.#pending, tracks: this.#session.progress() })
    })
  }

  /** Without a listener it is reported as an uncaught error. */
  #error(error: RecorderError): void {
    if (!this.emit('error', error)) reportError(error)
  }
}
