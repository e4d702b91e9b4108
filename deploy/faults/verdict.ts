import { addSummaries, checkSession, describeFindings, type RecordingSummary } from '@longtake/testkit'
import type { Ended } from './load.ts'

export interface Verdict {
  acknowledged: number
  lost: number
  duplicated: number
  undeclared: number
  /** Everything that is not as promised, in words; empty where all is well. */
  faults: string[]
}

/** The habits whose sessions must end complete: their clients hand over every chunk and close every part cleanly. */
const WHOLE: ReadonlySet<Ended['habit']> = new Set(['steady', 'two tracks', 'shuffling', 'doubled', 'crashing'])
/** Another recorder took over, or the server did not like what it got: no fault makes that of honest recorders. */
const NEVER_CLOSED_WITH = new Set([4400, 4401, 4409, 4410, 4413, 4422])

/** Judges what became of sessions by what their clients know. */
export function judgeAll(ended: readonly Ended[]): Verdict {
  const each = ended.map(judge)
  const { acknowledgedChunks, lostChunks, duplicatedChunks, undeclaredHoles } = addSummaries(each.map(({ summary }) => summary))
  return {
    acknowledged: acknowledgedChunks, lost: lostChunks, duplicated: duplicatedChunks, undeclared: undeclaredHoles,
    faults: each.flatMap(({ faults }) => faults),
  }
}

function judge({ habit, toCheck, violations, closes }: Ended): { summary: RecordingSummary; faults: string[] } {
  const { findings, summary } = checkSession(toCheck)
  const wanted = WHOLE.has(habit) ? 'complete' : 'complete-with-gaps'
  const faults = [
    ...(findings.length > 0 ? [describeFindings(findings)] : []),
    ...(toCheck.status.status === wanted ? [] : [`its status is ${toCheck.status.status}, not ${wanted}`]),
    ...(toCheck.manifest === undefined ? ['it has no manifest'] : []),
    ...violations,
    ...closes.filter((code) => NEVER_CLOSED_WITH.has(code)).map((code) => `a client was closed with ${code}`),
  ]
  return { summary, faults: faults.map((fault) => `session ${toCheck.session} (${habit}): ${fault}`) }
}
