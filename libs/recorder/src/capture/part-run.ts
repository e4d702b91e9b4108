import type { LostCause } from '@longtake/contracts/protocol'
import { RecorderError } from '../api.ts'
import { cut } from './cut.ts'
import { inTime } from '../in-time.ts'
import { lossCauseOf } from '../spool/loss-cause.ts'
import type { Spool } from '../spool/spool.ts'
import type { Action } from '../upload/action.ts'
import type { UploadSession } from '../upload/upload-session.ts'

export interface PartRunHost {
  readonly session: UploadSession
  readonly spool: Spool
  perform(actions: Action[]): void
  error(error: RecorderError): void
}

/** A blob is read within milliseconds; large ones lie on the disk. */
export const READ_PATIENCE_MS = 30_000

/** One part while it is recorded: what the browser hands over goes, in its order, by the spool to the upload session. */
export class PartRun {
  readonly part = crypto.randomUUID()
  readonly track: string
  readonly #host: PartRunHost
  /** The spool is asynchronous: each step waits for the one before, so that nothing overtakes. */
  #queue: Promise<void>
  #nextSeq = 0

  /** @param opened what was started and when; until it resolves all data waits */
  constructor(track: string, opened: Promise<{ mimeType: string; startedAt: number }>, host: PartRunHost) {
    this.track = track
    this.#host = host
    this.#queue = opened.then((started) => this.#open(started))
  }

  /** @param capturedAt milliseconds since the epoch by this device's clock */
  add(blob: Blob, capturedAt: number): void {
    void this.#inOrder(async () => {
      // What the server takes may have become known, or may have changed, meanwhile.
      for (const piece of cut(blob, this.#host.session.maxChunkBytes)) await this.#keep(piece, capturedAt)
    })
  }

  /**
   * After the last `add`. Resolves when all of the part is in the spool and its length is declared.
   * @param clean whether what was added is all that was recorded
   */
  close(clean: boolean): Promise<void> {
    return this.#inOrder(async () => {
      if (!this.#host.session.has(this.part)) return
      const closed = { chunks: this.#nextSeq, clean }
      await this.#orReport(this.#host.spool.closePart(this.part, closed))
      this.#host.perform(this.#host.session.closePart(this.part, closed.chunks, closed.clean))
    })
  }

  #inOrder(step: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(step)
    return this.#queue
  }

  async #open({ mimeType, startedAt }: { mimeType: string; startedAt: number }): Promise<void> {
    const part = { track: this.track, part: this.part, mimeType, startedAt }
    await this.#orReport(this.#host.spool.addPart(part))
    this.#host.perform(this.#host.session.openPart(part))
  }

  async #keep(piece: Blob, capturedAt: number): Promise<void> {
    if (!this.#host.session.has(this.part)) return
    const chunk = { seq: this.#nextSeq++, bytes: piece.size, capturedAt }
    const cause = await this.#spool(piece, chunk)
    const { session } = this.#host
    this.#host.perform(cause === null ? session.chunkSpooled(this.part, chunk) : session.chunkNotKept(this.part, chunk, cause))
  }

  /** @returns why it could not be kept; null when it is */
  async #spool(piece: Blob, { seq, capturedAt }: { seq: number; capturedAt: number }): Promise<LostCause | null> {
    try {
      const payload = await inTime(piece.arrayBuffer(), READ_PATIENCE_MS, () => new Error('the browser does not give its bytes'))
      await this.#host.spool.addChunk({ part: this.part, seq, payload, capturedAt })
      return null
    } catch (cause) {
      this.#host.error(new RecorderError('spool-failed', `chunk ${seq} of ${this.track} cannot be kept and is lost`, { cause }))
      const lost = lossCauseOf(cause)
      // Told above already; and what cannot be noted now is noted with the next chunk.
      await this.#host.spool.noteLost(this.part, seq, lost).catch(() => undefined)
      return lost
    }
  }

  /** Records of parts only help a later recovery: recording goes on without. */
  async #orReport(written: Promise<void>): Promise<void> {
    try {
      await written
    } catch (cause) {
      this.#host.error(new RecorderError('spool-failed', `the spool does not take the record of a part of ${this.track}`, { cause }))
    }
  }
}
