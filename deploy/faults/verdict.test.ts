import assert from 'node:assert/strict'
import { test } from 'node:test'
import { part, toWrite } from '../../libs/testkit/test/good-file.ts'
import { mux, type FrameToWrite } from '../../libs/testkit/test/muxer.ts'
import { rightSession } from '../../libs/testkit/test/right-session.ts'
import type { Ended } from './load.ts'
import { judgeAll, type Verdict } from './verdict.ts'

function ended(): Ended {
  const { truth, status, manifest, files } = rightSession()
  return { habit: 'steady', toCheck: { ...truth, status, manifest, files }, violations: [], closes: [1012, 1006] }
}

/** The first file of the webcam, written anew with other frames. */
function rewrite({ toCheck }: Ended, bend: (frames: FrameToWrite[]) => FrameToWrite[]): void {
  const [ledger] = toCheck.parts
  const right = toWrite([{ checked: part('p', [...ledger!.acknowledged.values()]), shiftMs: 0 }])
  Object.assign(toCheck.files['webcam']!, { 0: mux({ ...right, frames: bend(right.frames) }) })
}

test('a session that is as promised has no faults, and its chunks are counted', () => {
  const one = ended()
  const acknowledged = one.toCheck.parts.reduce((sum, ledger) => sum + ledger.acknowledged.size, 0)
  assert.deepEqual(judgeAll([one, ended()]), { acknowledged: 2 * acknowledged, lost: 0, duplicated: 0, undeclared: 0, faults: [] })
})

const TAMPERED: Record<string, { tamper: (one: Ended) => void; shows: (verdict: Verdict) => boolean }> = {
  'acknowledged frames are not in the file': {
    tamper: (one) => rewrite(one, (frames) => frames.filter((_, index) => index < 50 || index > 60)),
    shows: ({ lost }) => lost > 0,
  },
  'frames are in the file twice': {
    tamper: (one) => rewrite(one, (frames) => [...frames.slice(0, 60), ...frames.slice(50)]),
    shows: ({ duplicated }) => duplicated > 0,
  },
  'a chunk never came, and no gap says so': {
    tamper: ({ toCheck }) => {
      toCheck.parts[0]!.acknowledged.delete(2)
      toCheck.parts[0]!.made.delete(2)
    },
    shows: ({ undeclared }) => undeclared > 0,
  },
  'a session of which everything was acknowledged is said to have gaps': {
    tamper: ({ toCheck }) => Object.assign(toCheck.status, { status: 'complete-with-gaps' }),
    shows: ({ faults }) => faults.some((fault) => fault.includes('not complete')),
  },
  'there is no manifest': { tamper: ({ toCheck }) => delete toCheck.manifest, shows: ({ faults }) => faults.some((fault) => fault.includes('manifest')) },
  'the gateway broke the protocol': { tamper: ({ violations }) => void violations.push('ack of a chunk that was not sent'), shows: ({ faults }) => faults.length === 1 },
  'a client was taken over by nobody': { tamper: ({ closes }) => void closes.push(4409), shows: ({ faults }) => faults.length === 1 },
}

for (const [what, { tamper, shows }] of Object.entries(TAMPERED)) {
  test(`it is found when ${what}`, () => {
    const one = ended()
    tamper(one)
    const verdict = judgeAll([ended(), one])
    assert.ok(verdict.faults.length > 0)
    assert.ok(shows(verdict), JSON.stringify(verdict))
  })
}
