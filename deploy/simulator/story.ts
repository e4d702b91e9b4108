import { describeFault } from './faults.ts'
import type { Violation } from './model.ts'
import type { ClientPlan, PageEvent, Plan, SessionPlan } from './plan.ts'
import { formatTime } from './world/trace.ts'

/** The plan and what came of it, in the order of time, for people. */
export function storyOf(plan: Plan, violations: readonly Violation[]): string {
  const { instances, partitions } = plan
  const services = Object.entries(instances).map(([kind, count]) => `${count} ${kind}`)
  const lines = [
    ...plan.sessions.flatMap(sessionLines),
    ...plan.faults.map((fault) => ({ at: fault.at, line: describeFault(fault) })),
    { at: plan.quietAt, line: 'nothing goes wrong from here on' },
    ...violations.map(({ atMs, promise, what }) => ({ at: atMs, line: `BROKEN ${promise}: ${what}` })),
  ]
  const ordered = lines.toSorted((a, b) => a.at - b.at).map(({ at, line }) => `${formatTime(at)}  ${line}`)
  return [`seed ${plan.seed}: ${services.join(', ')}; topics have ${partitions} partitions`, ...ordered].join('\n')
}

interface Line {
  at: number
  line: string
}

function sessionLines({ id, startsAt, end, clients, deletedAt, heldAt }: SessionPlan): Line[] {
  const endsAt = startsAt + Math.max(...clients.map(({ joinsAt, recordsMs }) => joinsAt + recordsMs))
  return [
    ...clients.flatMap((client, index) => clientLines(`${id} recorder ${index + 1}`, startsAt, client, end)),
    ...(end === 'backend' ? [{ at: endsAt, line: `${id} is ended by the backend` }] : []),
    ...(deletedAt === null ? [] : [{ at: startsAt + deletedAt, line: `${id} is deleted` }]),
    ...(heldAt === null ? [] : [{ at: startsAt + heldAt, line: `a legal hold on the files of ${id}` }]),
  ]
}

function clientLines(name: string, startsAt: number, client: ClientPlan, end: SessionPlan['end']): Line[] {
  const { joinsAt, recordsMs, chunkMs, chunkBytes, tracks, events } = client
  const begins = startsAt + joinsAt
  return [
    {
      at: begins,
      line: `${name} begins to record ${tracks.join(' and ')}: chunks of ${chunkMs} ms, ${chunkBytes} bytes`,
    },
    ...events.map((event) => ({ at: begins + event.at, line: `${name}: ${describeEvent(event)}` })),
    { at: begins + recordsMs, line: `${name} stops${end === 'client' ? ' and finishes the session' : ''}` },
  ]
}

function describeEvent(event: PageEvent): string {
  switch (event.do) {
    case 'crash':
      return `its page dies; the next comes after ${event.backAfterMs} ms${event.goesOn ? ' and goes on' : ''}`
    case 'next-part':
      return 'each track begins another part'
    case 'offline':
      return `offline for ${event.forMs} ms`
    case 'quota':
      return 'the next chunk does not fit into the spool'
    case 'steal':
      return 'a chunk disappears from the spool'
    case 'unreadable':
      return `the next chunk cannot be read from the spool for ${event.forMs} ms`
    default:
      return event satisfies never
  }
}
