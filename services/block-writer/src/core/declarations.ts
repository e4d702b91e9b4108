import type { DeclarationOf } from '@longtake/contracts'
import { subtractRanges, toRanges } from '@longtake/domain'
import type { Part } from './part.ts'

export type PartDeclaration = DeclarationOf<'part-opened'> | DeclarationOf<'part-closed'> | DeclarationOf<'chunks-lost'>

/** Whether a declaration says anything about a part that is not known. */
export function isNews({ startedAt, client, mimeType, closed, lost }: Part, declared: PartDeclaration): boolean {
  switch (declared.type) {
    case 'part-opened':
      return startedAt === null || client !== declared.client || mimeType !== declared.mimeType
    case 'part-closed':
      return closed === null || declared.chunks > closed.chunks || (declared.chunks === closed.chunks && declared.clean && !closed.clean)
    case 'chunks-lost': {
      const known = lost.filter(({ cause }) => cause === declared.cause).map(({ from, to }): [number, number] => [from, to])
      return subtractRanges([[declared.from, declared.to]], toRanges(known)).length > 0
    }
    default:
      return declared satisfies never
  }
}
