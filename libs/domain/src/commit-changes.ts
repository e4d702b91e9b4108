import type { EventOf, FileState, PartState } from '@longtake/contracts'

/** Files of up to so many parts are published whole with every commit: that is nearly every recording. */
const SMALL_PARTS = 16

type WholeCommit = Omit<EventOf<'blocks-committed'>, 'at'>
type ChangedCommit = Omit<EventOf<'parts-committed'>, 'at'>

/**
 * Decides what is published of each commit of one file: all of its parts, or those that have changed. What an event costs its readers
 * grows with the parts in it, and a long session on a poor line has hundreds, of which each commit changes one or two. As soon as
 * the changes published would be as many as the file has parts, it is published whole: on average a commit costs twice its changes.
 */
export class CommitChanges {
  #published: { readonly number: number; readonly parts: readonly PartState[] } | null = null
  #sinceWhole = 0

  /** @param whole the parts that have not changed are the very objects of the commit that was published before */
  eventOf(whole: WholeCommit): WholeCommit | ChangedCommit {
    if (this.#published === null || whole.parts.length <= SMALL_PARTS) return whole
    const { number, parts: before } = this.#published
    const known = new Set(before)
    const parts = whole.parts.filter((part) => !known.has(part))
    // Consumers that know only whole commits have to see how the file ends.
    const isAtRest = whole.parts.every(({ closed }) => closed !== null)
    if (isAtRest || this.#sinceWhole + parts.length >= whole.parts.length || !areSame(merged(before, parts), whole.parts)) return whole
    return { ...whole, type: 'parts-committed', parts, since: number }
  }

  /** The commit stands in the log: what is published next refers to it. */
  published(whole: WholeCommit, event: WholeCommit | ChangedCommit): void {
    this.#sinceWhole = event.type === 'blocks-committed' ? 0 : this.#sinceWhole + event.parts.length
    this.#published = { number: whole.commit.number, parts: whole.parts }
  }
}

/**
 * All that block-writer knows of the file after such a commit.
 * @param files of the track, as known before it
 * @throws RangeError where the commit that it refers to is not known: a later `blocks-committed` has everything
 */
export function wholeCommit(files: readonly Pick<FileState, 'file' | 'commit' | 'parts'>[], event: EventOf<'parts-committed'>): EventOf<'blocks-committed'> {
  const { since, type: _type, ...commit } = event
  const known = files.find(({ file }) => file === event.file)
  if (known === undefined || known.commit.number < since) {
    throw new RangeError(`commit ${event.commit.number} of ${event.blob} changes commit ${since}, and ${known?.commit.number ?? 'none'} is the last one known`)
  }
  return { ...commit, type: 'blocks-committed', parts: merged(known.parts, event.parts) }
}

/** Changed parts in the place of those that they replace, new ones behind. */
function merged(before: readonly PartState[], changed: readonly PartState[]): PartState[] {
  const byId = new Map(changed.map((part) => [part.part, part]))
  const parts = before.map((part) => byId.get(part.part) ?? part)
  for (const { part } of before) byId.delete(part)
  return [...parts, ...byId.values()]
}

const areSame = (a: readonly PartState[], b: readonly PartState[]): boolean => a.length === b.length && a.every((part, i) => part === b[i])
