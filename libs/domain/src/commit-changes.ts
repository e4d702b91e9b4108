import type { EventOf, FileState, PartState } from '@longtake/contracts'
import { withChangedParts, type PartList } from './part-lists.ts'

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
  #published: { readonly number: number; readonly parts: PartList; readonly ids: Set<string> } | null = null
  #sinceWhole = 0

  /** @param whole the parts that have not changed are the very objects of the commit that was published before */
  eventOf(whole: WholeCommit): WholeCommit | ChangedCommit {
    if (this.#published === null || whole.parts.length <= SMALL_PARTS) return whole
    const { number } = this.#published
    const parts = changedParts(this.#published, whole.parts)
    // Consumers that know only whole commits have to see how the file ends.
    const isAtRest = whole.parts.findLastIndex(({ closed }) => closed === null) < 0
    if (parts === null || isAtRest || this.#sinceWhole + parts.length >= whole.parts.length) return whole
    return { ...whole, type: 'parts-committed', parts, since: number }
  }

  /** The commit stands in the log: what is published next refers to it. */
  published(whole: WholeCommit, event: WholeCommit | ChangedCommit): void {
    this.#sinceWhole = event.type === 'blocks-committed' ? 0 : this.#sinceWhole + event.parts.length
    const ids = event.type === 'blocks-committed' ? new Set<string>() : this.#published!.ids
    for (const { part } of event.parts) ids.add(part)
    this.#published = { number: whole.commit.number, parts: whole.parts, ids }
  }
}

type File = Pick<FileState, 'file' | 'commit' | 'parts'>

/**
 * All parts of the file after such a commit.
 * @param files of the track, as known before it
 * @throws RangeError where the commit that it refers to is not known: a later `blocks-committed` has everything
 */
export function partsAfter(files: readonly File[], event: EventOf<'parts-committed'>): PartList {
  const { file, blob, commit, since, parts } = event
  const known = files.find((one) => one.file === file)
  if (known === undefined || known.commit.number < since) {
    const last = known?.commit.number ?? 'none'
    throw new RangeError(`commit ${commit.number} of ${blob} changes commit ${since}, and ${last} is the last one known`)
  }
  return withChangedParts(known.parts, parts)
}

/** The complete commit: the file with all its parts after it, see `partsAfter`. */
export function wholeCommit(files: readonly File[], event: EventOf<'parts-committed'>): EventOf<'blocks-committed'> {
  const { since: _since, type: _type, ...commit } = event
  return { ...commit, type: 'blocks-committed', parts: [...partsAfter(files, event)] }
}

/**
 * The parts from which `withChangedParts` makes the later list; null if it cannot, for example because a part is in
 * the list twice: a part that left the file still has media there, and its continuation is listed beside it until that
 * has a place in another file.
 * @param before the earlier list, with the ids of all parts in it
 */
function changedParts(before: { readonly parts: PartList; readonly ids: ReadonlySet<string> }, after: PartList): PartState[] | null {
  const { length } = before.parts
  if (after.length < length || before.ids.size < length) return null
  const changed: PartState[] = []
  const added = new Set<string>()
  for (let i = 0; i < after.length; i++) {
    const part = after[i]!
    if (part === before.parts[i]) continue
    if (i < length ? part.part !== before.parts[i]!.part : before.ids.has(part.part) || added.has(part.part)) return null
    if (i >= length) added.add(part.part)
    changed.push(part)
  }
  return changed
}
