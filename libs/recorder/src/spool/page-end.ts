/**
 * That a page was closed or reloaded while it recorded, for who recovers what it left: a page that is going has no time
 * left for IndexedDB, and one that crashed notes nothing. Where the browser keeps no such notes it looks like a crash.
 */
const placeOf = (session: string, client: string): string => `longtake-page-end:${session}:${client}`

const TAB_PLACE = 'longtake-recorder'

/** @param at milliseconds since the epoch by this device's clock */
export function notePageEnd(session: string, client: string, at: number): void {
  ifAllowed(() => localStorage.setItem(placeOf(session, client), String(at)))
}

/** @returns when its page was closed; null if it was not, as far as is known */
export function pageEndOf(session: string, client: string): number | null {
  const at = ifAllowed(() => localStorage.getItem(placeOf(session, client)))
  return typeof at === 'string' && /^\d{1,15}$/.test(at) ? Number(at) : null
}

export function forgetPageEnd(session: string, client: string): void {
  ifAllowed(() => localStorage.removeItem(placeOf(session, client)))
}

/** Notes for who comes after this page in the same tab which recorder this one had: a tab that the browser discarded is loaded again. */
export function noteTab(client: string): void {
  ifAllowed(() => sessionStorage.setItem(TAB_PLACE, client))
}

/** Whether the browser discarded this tab, to save memory, while this recorder was its last: then no page's end is noted. */
export function wasDiscarded(client: string): boolean {
  // Chromium alone says so.
  const { wasDiscarded: isDiscarded = false } = document as Document & { wasDiscarded?: boolean }
  return isDiscarded && ifAllowed(() => sessionStorage.getItem(TAB_PLACE)) === client
}

function ifAllowed<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
