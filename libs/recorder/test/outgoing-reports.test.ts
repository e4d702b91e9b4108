import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Action } from '../src/upload/action.ts'
import { MAX_REPORTS, REPORTS_AT_ONCE, type SpooledReport } from '../src/upload/outgoing-reports.ts'
import { UploadSession } from '../src/upload/upload-session.ts'
import { closed, connected, cut, finishDurable, finished, NOW, opened, says, ticked, WEBCAM, acked, durable, spooled, type Step } from './conversation.ts'

const reportOf = (number: number, more: Partial<SpooledReport> = {}): SpooledReport => ({ id: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`, event: 'hidden', at: NOW + number, ...more })
const reports = (count: number): SpooledReport[] => Array.from({ length: count }, (_, number) => reportOf(number))
const reported = (...all: SpooledReport[]): Step[] => all.map((report) => (session) => session.report(report))
const answered = ({ id }: SpooledReport): Step => says({ type: 'durable', of: 'report', id })

/** What all of it makes the recorder do. */
function after(...steps: Step[]) {
  const session = new UploadSession()
  const run = (...others: Step[]): Action[] => others.flatMap((step) => step(session))
  const actions = run(...steps)
  return { actions, more: run }
}
const sentIn = (actions: Action[]): (string | undefined)[] => actions.flatMap((action) => (action.do === 'send' && action.message.type === 'report' ? [action.message.id] : []))
const notedIn = (actions: Action[]): SpooledReport[] => actions.filter((action) => action.do === 'note-reports').at(-1)?.reports ?? []
const idsOf = (all: readonly SpooledReport[]): string[] => all.map(({ id }) => id)

describe('a report', () => {
  const [first, second] = reports(2) as [SpooledReport, SpooledReport]

  it('is noted for a later page and sent at once, and again by the next connection, until the server has it', () => {
    const { actions, more } = after(connected(), ...reported(first, second))
    assert.deepEqual([sentIn(actions), notedIn(actions)], [idsOf([first, second]), [first, second]])
    assert.deepEqual(notedIn(more(answered(first))), [second])
    assert.deepEqual(sentIn(more(cut(), connected())), [second.id])
    assert.deepEqual(notedIn(more(answered(second))), [])
    assert.deepEqual(sentIn(more(cut(), connected())), [])
  })

  it('waits, noted, while there is no connection', () => {
    const { actions, more } = after(...reported(first))
    assert.deepEqual([sentIn(actions), notedIn(actions)], [[], [first]])
    assert.deepEqual(sentIn(more(connected())), [first.id])
  })

  it('is sent before the session is finished', () => {
    const { more } = after(...reported(first), finished)
    assert.deepEqual(more(connected()).flatMap((action) => (action.do === 'send' ? [action.message.type] : [])), ['report', 'finish'])
  })

  it('is cut to what the protocol allows', () => {
    const { actions } = after(connected(), ...reported({ ...first, detail: 'x'.repeat(5000) }))
    assert.equal(notedIn(actions)[0]?.detail?.length, 1000)
    assert.ok(actions.some((action) => action.do === 'send' && action.message.type === 'report' && action.message.detail?.length === 1000))
  })
})

describe('too many reports', () => {
  it('drop the oldest, which one report in their place counts', () => {
    const all = reports(MAX_REPORTS + 3)
    const kept = notedIn(after(...reported(...all)).actions)
    assert.equal(kept.length, MAX_REPORTS)
    assert.deepEqual([kept[0]?.event, kept[0]?.detail], ['reports-dropped', '4'])
    assert.deepEqual(kept.slice(1), all.slice(4))
  })

  it('go out bit by bit, as the server answers, since it limits their rate', () => {
    const all = reports(MAX_REPORTS)
    const { actions, more } = after(...reported(...all), connected())
    const sent = sentIn(actions)
    assert.equal(sent.length, REPORTS_AT_ONCE)
    for (const report of all) sent.push(...sentIn(more(answered(report))))
    assert.deepEqual(sent, idsOf(all))
  })
})

describe('the end', () => {
  const whole = [opened(WEBCAM), connected(), spooled(WEBCAM, 0), acked(0, 0), closed(WEBCAM, 1), finished, durable('open', WEBCAM), durable('close', WEBCAM)]
  const isSettled = (actions: Action[]): boolean => actions.some((action) => action.do === 'settled')
  const [report] = reports(1) as [SpooledReport]

  it('waits for the last reports', () => {
    const { actions, more } = after(...whole, ...reported(report), finishDurable)
    assert.ok(!isSettled(actions))
    assert.ok(isSettled(more(answered(report))))
  })

  it('does not wait long for a server that answers no reports', () => {
    const { more } = after(...whole, ...reported(report), finishDurable)
    assert.ok(!isSettled(more(ticked(NOW + 2000))))
    assert.ok(isSettled(more(ticked(NOW + 4000))))
    assert.deepEqual(more(...reported(report)), [], 'and nothing is noted any more')
  })
})
