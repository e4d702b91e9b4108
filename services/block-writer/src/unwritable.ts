/** What a track is, not storage or Kafka, makes it fail: it will do so at every try until another version runs. */
export class Unwritable extends Error {}

/** Runs what does no I/O: whatever it throws comes from what it was given. */
export function orUnwritable<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new Unwritable(String(cause), { cause })
  }
}
