import type { EventOf, SessionState } from '@longtake/contracts'

type Rendition = SessionState['renditions'][number]
type Requested = NonNullable<SessionState['requested']>

/** More files than a session has; the state stays bounded whoever asks. */
const MAX_REQUESTED = 100

/** One rendition per track, kind and file: of the newest version, and of one version one that exists before one that failed. */
export function renditionMade(renditions: readonly Rendition[], made: Rendition): Rendition[] {
  const known = renditions.find((other) => keyOf(other) === keyOf(made))
  if (known !== undefined && (known.version > made.version || (known.version === made.version && known.blob !== null && made.blob === null))) return [...renditions]
  return [...renditions.filter((other) => other !== known), made].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

const keyOf = ({ track, kind, file = 0 }: Pick<Rendition, 'track' | 'kind' | 'file'>): string => `${track} ${kind} ${file}`

/** Once asked for, it stays asked for: also of later versions. */
export function renditionRequested(requested: Requested = [], event: EventOf<'rendition-requested'>): Requested {
  const { track, kind, file = 0 } = event
  if (requested.length >= MAX_REQUESTED || isRequested({ requested }, track, kind, file)) return requested
  return [...requested, { track, kind, file }].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

/** Whether a viewer asked for it. */
export function isRequested(state: Pick<SessionState, 'requested'>, track: string, kind: Rendition['kind'], file: number): boolean {
  const { requested = [] } = state
  return requested.some((one) => one.track === track && one.kind === kind && one.file === file)
}

/** Renditions that were asked for and neither exist nor failed. */
export function pendingRenditions(state: Pick<SessionState, 'requested' | 'renditions'>): Requested {
  const { requested = [], renditions } = state
  const known = new Set(renditions.map(keyOf))
  return requested.filter((one) => !known.has(keyOf(one)))
}
