import assert from 'node:assert/strict'

/** The pure rules of one thing: `decide` says what happens on a command, `evolve` what that changes. */
export interface Decider<Command, Event, State> {
  initial(): State
  decide(command: Command, state: State): readonly Event[]
  evolve(state: State, event: Event): State
}

export interface Given<Command, Event, State> {
  when(command: Command): Outcome<Event, State>
  /** The state after the given events alone. */
  thenState(expected: State): void
}

export interface Outcome<Event, State> {
  /** Exactly this event, or exactly these in this order. */
  then(expected: Event | readonly Event[]): void
  thenNothing(): void
  thenThrows(expected: RegExp | (new (...args: never[]) => Error)): void
  /** The state after the given events and those decided. */
  thenState(expected: State): void
}

/**
 * `given([started, chunk(1)]).when(command).then(gapOpened(0, 0))`. The decider is called anew for every assertion;
 * given state is frozen, so a `decide` or `evolve` that changes it in place fails.
 */
export function specification<Command, Event, State>(decider: Decider<Command, Event, State>): (events: readonly Event[]) => Given<Command, Event, State> {
  const fold = (events: readonly Event[], from = freeze(decider.initial())): State =>
    events.reduce((state, event) => freeze(decider.evolve(state, freeze(event))), from)
  return (events) => ({
    when(command) {
      const decided = (): readonly Event[] => decider.decide(freeze(command), fold(events))
      return {
        // oxlint-disable-next-line unicorn/no-thenable -- the field's own word, and never awaited
        then: (expected) => assert.deepEqual(decided(), Array.isArray(expected) ? expected : [expected]),
        thenNothing: () => assert.deepEqual(decided(), []),
        thenThrows: (expected) => assert.throws(decided, expected),
        thenState: (expected) => assert.deepEqual(fold(decided(), fold(events)), expected),
      }
    },
    thenState: (expected) => assert.deepEqual(fold(events), expected),
  })
}

/** Plain data only: typed arrays, maps and sets cannot be frozen and stay as they are. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value
  for (const inner of Object.values(value)) freeze(inner)
  return Object.freeze(value)
}
