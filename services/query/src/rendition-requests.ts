import type { SessionState } from '@longtake/contracts'
import { isRequested } from '@longtake/domain'
import type { Announcer } from './ports.ts'

/** Requests that were published and may not be in the status yet. */
const MAX_PUBLISHED = 1_000

/** Publishes that a viewer needs a rendition: players ask for the same one again and again. */
export class RenditionRequests {
  readonly #announcer: Announcer
  readonly #now: () => Date
  readonly #published = new Set<string>()

  constructor(announcer: Announcer, now: () => Date) {
    this.#announcer = announcer
    this.#now = now
  }

  /** Resolves once the broker has the request. */
  async request(state: SessionState, track: string, file: number): Promise<void> {
    const key = `${state.session} ${state.createdAt} ${track} ${file}`
    if (isRequested(state, track, 'mp4', file) || this.#published.has(key)) return
    this.#remember(key)
    try {
      const { session } = state
      const at = this.#now().toISOString()
      await this.#announcer.event({
        type: 'rendition-requested',
        session,
        at,
        track,
        kind: 'mp4',
        ...(file === 0 ? {} : { file }),
      })
    } catch (error) {
      this.#published.delete(key)
      throw error
    }
  }

  #remember(key: string): void {
    this.#published.add(key)
    const [oldest] = this.#published
    if (this.#published.size > MAX_PUBLISHED && oldest !== undefined) this.#published.delete(oldest)
  }
}
