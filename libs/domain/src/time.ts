/** Instants are RFC 3339 strings of any offset: compared by the moment they mean, returned as they came. */
export const epochMs = (instant: string): number => Date.parse(instant)
export const instantOf = (ms: number): string => new Date(ms).toISOString()
export const earlier = (a: string, b: string): string => (epochMs(b) < epochMs(a) ? b : a)
export const later = (a: string, b: string): string => (epochMs(b) > epochMs(a) ? b : a)

/** Kafka offsets as decimal strings: they outgrow a double. */
export const isHigherOffset = (a: string, b: string): boolean => BigInt(a) > BigInt(b)
