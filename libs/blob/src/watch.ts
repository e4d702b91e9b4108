import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '@longtake/contracts'
import type { BlobStore } from './store.ts'

export interface StorageWatch extends Disposable {
  /** Whether the container has answered lately; fits `Health.add`. */
  check(): { ready: true } | { ready: false; reason: string }
}

const EVERY_MS = 3_000
const ONE_ANSWER_MS = 5_000
const SILENCE_MS = 10_000

/** Asks for the container every few seconds, so that a service knows how its storage is also while it needs nothing of it. */
export function watchStorage(store: Pick<BlobStore, 'ping'>, { everyMs = EVERY_MS, silenceMs = SILENCE_MS } = {}): StorageWatch {
  const stopping = new AbortController()
  let answeredAt = performance.now()
  let failure = 'no answer yet'
  const ask = async (): Promise<void> => {
    const timeout = AbortSignal.timeout(ONE_ANSWER_MS)
    try {
      await store.ping({ signal: AbortSignal.any([stopping.signal, timeout]) })
      answeredAt = performance.now()
    } catch (error) {
      failure = timeout.aborted ? `no answer within ${ONE_ANSWER_MS / 1000} s` : messageOf(error)
    }
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await ask()
      // Rejects only when it shall stop.
      await delay(everyMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
    }
  }
  void run()
  return {
    check() {
      const silentMs = performance.now() - answeredAt
      return silentMs < silenceMs ? { ready: true } : { ready: false, reason: `the storage has not answered for ${Math.round(silentMs / 1000)} s: ${failure}` }
    },
    [Symbol.dispose]: () => stopping.abort(),
  }
}
