import type { SessionState } from '@longtake/contracts'

type Rendition = SessionState['renditions'][number]

/** One rendition per track, kind and file: of the newest version, and of one version one that exists before one that failed. */
export function renditionMade(renditions: readonly Rendition[], made: Rendition): Rendition[] {
  const known = renditions.find((other) => keyOf(other) === keyOf(made))
  if (known !== undefined && (known.version > made.version || (known.version === made.version && known.blob !== null && made.blob === null))) return [...renditions]
  return [...renditions.filter((other) => other !== known), made].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

const keyOf = ({ track, kind, file = 0 }: Rendition): string => `${track} ${kind} ${file}`
