import type { Placement } from './decoder.ts'
import type { Run } from './run.ts'

/** Where the media of these runs ends: what comes behind them is not laid over it. */
export function floorOf(runs: readonly Run[]): Pick<Placement, 'floorMs' | 'floorOf'> {
  const floorMs = runs.reduce((latest, { after }) => Math.max(latest, after.span.endMs), -Infinity)
  const times = runs.flatMap((run) => run.snapshot()?.state?.writer.tracks ?? [])
  return { floorMs, floorOf: (of) => times.reduce((latest, { track, lastMs }) => (track === of ? Math.max(latest, lastMs) : latest), -Infinity) }
}
