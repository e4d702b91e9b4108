import { RecorderError } from '../api.ts'
import { deferred } from '../deferred.ts'
import { inTime } from '../in-time.ts'

/** How long the page before this one may take to die: after a reload its locks are freed late. */
const LOCK_PATIENCE_MS = 5000
/** In the same page another recorder of the track may be starting or ending: that takes as long as the first frame, or the last, may take. */
const SAME_PAGE_PATIENCE_MS = 15_000
/** A lock that nobody else has comes at once; a busy page or browser takes a while. One that does not answer at all never will. */
export const ANSWER_PATIENCE_MS = 30_000

export type Release = () => void

/** Held by a recorder for its life, and by who recovers what it left: what it has in the spool is nobody else's. */
export const clientLock = (session: string, client: string): string => `longtake-client:${session}:${client}`
export const TRACK_LOCKS = 'longtake-track:'
/** Held by who records that track of the session. */
export const trackLock = (session: string, track: string): string => `${TRACK_LOCKS}${session}:${track}`
/** Who in this page wants or holds a track's lock, by its name. */
const claims = new Map<string, TrackLocks>()

/** Whether this page holds the lock. @param own another that it holds */
export async function isStillHeld(name: string, own: string): Promise<boolean> {
  const { held = [] } = await navigator.locks.query()
  const [holder, page] = [name, own].map((lock) => held.find((each) => each.name === lock)?.clientId)
  return holder !== undefined && holder === page
}

/**
 * Takes a lock of this origin, which ends with the page at the latest.
 * @returns null when another page goes on holding it
 * @throws RecorderError `spool-failed` when the browser answers neither way
 */
export async function holdLock(name: string, patienceMs = LOCK_PATIENCE_MS): Promise<Release | null> {
  const patience = AbortSignal.timeout(patienceMs)
  return request(name, { signal: patience }).catch((error: Error) => {
    if (patience.aborted && !(error instanceof RecorderError)) return null
    throw error
  })
}

/**
 * Takes a lock whose name is new, so that nobody else has it: it comes, however busy page and browser are.
 * @throws RecorderError `spool-failed` when the browser does not answer
 */
export async function holdNewLock(name: string): Promise<Release> {
  return request(name, {})
}

async function request(name: string, options: LockOptions): Promise<Release> {
  const held = deferred<Release>()
  navigator.locks.request(name, options, () => new Promise<void>((release) => held.resolve(release))).catch((error: Error) => held.reject(error))
  try {
    return await inTime(held.promise, ANSWER_PATIENCE_MS, () => new RecorderError('spool-failed', 'the browser does not answer when it is asked for a lock: restart it'))
  } catch (error) {
    // One that comes after all is nobody's.
    void held.promise.then((release) => release()).catch(() => undefined)
    throw error
  }
}

/** One track of a session is recorded by one page of this browser only. */
export class TrackLocks {
  readonly #session: string
  readonly #held = new Map<string, Release>()

  constructor(session: string) {
    this.#session = session
  }

  /** All or none; those that are held already stay so. @throws RecorderError `already-recording` */
  async hold(tracks: readonly string[]): Promise<void> {
    const wanted = tracks.filter((track) => !this.#held.has(track))
    const releases = await Promise.all(wanted.map((track) => this.#claim(trackLock(this.#session, track))))
    const taken = wanted.find((_, index) => releases[index] === null)
    if (taken !== undefined) {
      for (const release of releases) release?.()
      const isHere = claims.has(trackLock(this.#session, taken))
      const recorder = isHere ? 'another recorder of this page (React StrictMode?)' : 'another tab of this browser'
      throw new RecorderError('already-recording', `${recorder} records ${taken} of this session`)
    }
    for (const [index, track] of wanted.entries()) this.#held.set(track, releases[index]!)
  }

  async #claim(name: string): Promise<Release | null> {
    const isClaimed = claims.has(name)
    if (!isClaimed) claims.set(name, this)
    const release = await holdLock(name, isClaimed ? SAME_PAGE_PATIENCE_MS : LOCK_PATIENCE_MS)
    if (release !== null) claims.set(name, this)
    const end = (): void => {
      if (claims.get(name) === this) claims.delete(name)
      release?.()
    }
    if (release !== null) return end
    end()
    return null
  }

  /** Browsers may free the locks of a page that sits in their back/forward cache. @throws RecorderError `already-recording` */
  async holdAgain(): Promise<void> {
    const tracks = [...this.#held.keys()]
    this.release()
    await this.hold(tracks)
  }

  release(tracks: readonly string[] = [...this.#held.keys()]): void {
    for (const track of tracks) {
      this.#held.get(track)?.()
      this.#held.delete(track)
    }
  }
}
