import { Type, type Static } from 'typebox'

export const DEFAULT_INTERRUPTED_AFTER_MS = 2 * 60_000
export const DEFAULT_ABANDONED_AFTER_MS = 24 * 3_600_000
const MIN_MS = 1000
const MAX_MS = 30 * 24 * 3_600_000

/** How long a session waits for a client that went away. Counted from the last sign of life of any client or commit. */
export const Graces = Type.Object({
  interruptedAfterMs: Type.Optional(
    Type.Integer({ minimum: MIN_MS, maximum: MAX_MS, description: `without a client for so long a session is interrupted; default ${DEFAULT_INTERRUPTED_AFTER_MS}` }),
  ),
  abandonedAfterMs: Type.Optional(
    Type.Integer({
      minimum: MIN_MS,
      maximum: MAX_MS,
      description: `without a client for so long it is abandoned and published as it is; not below interruptedAfterMs; default ${DEFAULT_ABANDONED_AFTER_MS}`,
    }),
  ),
})
export type Graces = Static<typeof Graces>

/** With the defaults for what is not named. */
export const withDefaultGraces = ({ interruptedAfterMs, abandonedAfterMs }: Graces = {}): Required<Graces> => ({
  interruptedAfterMs: interruptedAfterMs ?? DEFAULT_INTERRUPTED_AFTER_MS,
  abandonedAfterMs: abandonedAfterMs ?? DEFAULT_ABANDONED_AFTER_MS,
})
