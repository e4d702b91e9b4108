import type { SessionState } from '@longtake/contracts'

type Rendition = SessionState['renditions'][number]

/** One rendition per track and kind: of the newest version, and of one version one that exists before one that failed. */
export function renditionMade(renditions: readonly Rendition[], made: Rendition): Rendition[] {
  const known = renditions.find(({ track, kind }) => track === made.track && kind === made.kind)
  if (known !== undefined && (known.version > made.version || (known.version === made.version && known.blob !== null && made.blob === null))) return [...renditions]
  return [...renditions.filter((other) => other !== known), made].sort((a, b) => (`${a.track} ${a.kind}` < `${b.track} ${b.kind}` ? -1 : 1))
}
