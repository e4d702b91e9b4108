import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { SessionState } from '@longtake/contracts'
import { evolve, judge } from '@longtake/domain'
import { startConsumer } from '@longtake/kafka'
import { factsOf, part } from './facts.ts'
import { kafkaConfig, setUp, startService } from './harness.ts'

test('a session goes from waiting to complete, and late data makes the next version', async () => {
  await using system = await setUp()
  await using _service = await startService(system.wiring)
  const { created, connected, committed, disconnected, finished, whole } = factsOf('s1')
  const status = (): string => `${system.states.get('s1')?.status} ${system.states.get('s1')?.version}`

  await system.tell(created)
  await system.until('waiting', () => status() === 'waiting 0')
  await system.tell(connected())
  const missing = [{ from: 2, to: 3, startMs: 100, endMs: 200 }]
  await system.tell(committed(1, { stored: [[0, 1], [4, 4]], missing }))
  await system.until('recording', () => status() === 'recording 0')
  await system.until('the hole to be asked for', () => system.requests.length === 1)
  assert.deepEqual({ ...system.requests[0], at: '' }, { type: 'resend-requested', session: 's1', track: 'webcam', part, from: 2, to: 3, at: '' })
  await system.until('the gap', () => system.states.get('s1')!.gaps.length === 1)
  assert.deepEqual({ ...system.states.get('s1')!.gaps[0], since: '' }, { track: 'webcam', part, from: 2, to: 3, startMs: 100, endMs: 200, kind: 'lost', state: 'open', cause: null, since: '' })

  const closed = { chunks: 5, clean: true }
  await system.tell(finished, committed(2, { stored: [[0, 1], [4, 4]], missing, closed }), disconnected)
  await system.tell(committed(3, { stored: [[0, 1], [4, 4]], missing, closed, lost: [{ from: 2, to: 3, cause: 'crash' }] }))
  await system.until('complete with gaps', () => status() === 'complete-with-gaps 1')
  await system.tell(whole(4))
  await system.until('the next version', () => status() === 'complete 2')
  await system.until('its event', () => system.events.filter(({ type }) => type === 'session-completed').length === 2)
  const own = system.events.filter(({ type }) => type.startsWith('gap-') || type === 'session-completed')
  assert.deepEqual(own.map(({ type }) => type), ['gap-opened', 'gap-confirmed', 'session-completed', 'gap-closed', 'session-completed'])
})

test('who connects to a deleted session is sent away', async () => {
  await using system = await setUp()
  await using _service = await startService(system.wiring)
  const { created, connected, deleted, whole } = factsOf('s1')
  await system.tell(created, whole(1), deleted, connected(Date.now()))
  await system.until('deleted', () => system.states.get('s1')?.status === 'deleted')
  await system.until('the dismissal', () => system.requests.some(({ type }) => type === 'clients-dismissed'))
  assert.deepEqual(system.states.get('s1')!.tracks, {})
})

test('killed in the middle of a burst, it goes on from the status topic, and ends at what the events say', { timeout: 180_000 }, async () => {
  await using system = await setUp()
  const sessions = Array.from({ length: 60 }, (_, i) => factsOf(`s${i}`))
  const rounds = [
    sessions.map((facts) => facts.created),
    ...[1, 2, 3, 4].map((number) => sessions.map((facts) => facts.committed(number, { stored: [[0, number], [number + 2, number + 2]] }))),
    sessions.map((facts, i) => facts.committed(5, { stored: [[0, 6]], closed: { chunks: i % 3 === 0 ? 8 : 7, clean: true } })),
    sessions.map((facts) => facts.finished),
  ]
  const launch = async () => {
    const child = spawn(process.execPath, [fileURLToPath(new URL('service-process.ts', import.meta.url)), JSON.stringify(system.wiring)], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    return child
  }
  const isDone = (): boolean => sessions.every((_, i) => system.states.get(`s${i}`)?.status === (i % 3 === 0 ? 'recording' : 'complete'))

  const first = await launch()
  for (const round of rounds.slice(0, 4)) await system.tell(...round)
  await system.until('some to be published', () => system.publications > 20)
  first.kill('SIGKILL')
  await once(first, 'exit')
  const before = system.publications
  for (const round of rounds.slice(4)) await system.tell(...round)
  const second = await launch()
  try {
    await system.until('all to be judged', isDone)
  } finally {
    second.kill('SIGTERM')
    await once(second, 'exit')
  }
  assert.ok(system.publications > before)
  for (const [i] of sessions.entries()) {
    const folded = rounds.map((round) => round[i]!).reduce<SessionState | undefined>((state, event, n) => evolve(state, event, String(n)), undefined)
    const expected = judge(folded!, Date.now()).state
    const { gaps, ...state } = system.states.get(`s${i}`)!
    const { gaps: expectedGaps, ...expectedState } = expected
    const ignored = { eventsOffset: '', revision: 0 }
    assert.deepEqual({ ...state, ...ignored }, { ...expectedState, ...ignored })
    assert.deepEqual(gaps.map((gap) => ({ ...gap, since: '' })), expectedGaps.map((gap) => ({ ...gap, since: '' })))
  }
})

test('read again from the first event by a new group, nothing is told or published anew', async () => {
  await using system = await setUp()
  const { created, committed, whole, finished } = factsOf('s1')
  {
    await using _service = await startService(system.wiring)
    await system.tell(created, committed(1, { stored: [[0, 0], [2, 2]] }), whole(2), finished)
    await system.until('complete', () => system.states.get('s1')?.status === 'complete')
    await system.until('the event', () => system.events.some(({ type }) => type === 'session-completed'))
  }
  const events = system.events.length
  await using _again = await startService({ ...system.wiring, group: `${system.wiring.group}-again` })
  // Another session of the same partition: when that is published, all before it has been read again.
  const other = Array.from({ length: 100 }, (_, i) => `other${i}`).find((name) => system.partitionOf(name) === system.partitionOf('s1'))!
  const publications = system.publications
  await system.tell(factsOf(other).created)
  await system.until('the other session', () => system.states.has(other))
  assert.equal(system.publications, publications + 1)
  assert.equal(system.events.length, events + 1)
})

test('an unreadable event is parked and holds nothing up', async () => {
  await using system = await setUp()
  await using _service = await startService(system.wiring)
  const partition = system.partitionOf('s1')
  await system.producer.send({ topic: system.topics.events, partition, key: 's1', value: Buffer.from('not json'), headers: { kind: 'session-created' } })
  await system.producer.send({ topic: system.topics.events, partition, key: 's1', value: Buffer.from('{}'), headers: { kind: 'of-tomorrow' } })
  await system.tell(factsOf('s1').created)
  await system.until('the readable one', () => system.states.get('s1')?.status === 'waiting')
  await system.until('the unreadable one', () => system.parked.length === 1)
  assert.equal(system.parked[0]!.value.toString(), 'not json')
})

test('time alone interrupts a session whose gateway died', async () => {
  await using system = await setUp()
  await using _service = await startService(system.wiring)
  const { created, connected, committed } = factsOf('s1', Date.now() - 147_000)
  await system.tell(created, connected(), committed(1, { stored: [[0, 3]] }))
  await system.until('recording', () => system.states.get('s1')?.status === 'recording')
  await system.until('interrupted', () => system.states.get('s1')?.status === 'interrupted')
})

test('a session whose chunks block-writer has not taken yet is not abandoned before it has', async () => {
  await using system = await setUp()
  const { topics, wiring } = system
  const { created, committed, whole } = factsOf('s1', Date.now() - 2 * 86_400_000)
  const partition = system.partitionOf('s1')
  await system.producer.send({ topic: topics.chunks, partition, key: 's1', value: Buffer.from('late') })
  await system.tell(created, committed(1, { stored: [[0, 1], [4, 4]] }))
  await using _service = await startService(wiring)
  await system.until('interrupted', () => system.states.get('s1')?.status === 'interrupted')
  await using _writer = await startConsumer({
    kafka: kafkaConfig(),
    group: wiring.writerGroup,
    topics: [topics.chunks],
    commitIntervalMs: 100,
    assign: (assigned) => ({
      handle: async (record) => {
        await system.tell(whole(2))
        assigned.done(record)
      },
      close: () => {},
    }),
    onFatal: (error) => {
      throw error
    },
  })
  await system.until('abandoned', () => system.states.get('s1')?.status === 'abandoned')
  const { version, gaps } = system.states.get('s1')!
  assert.deepEqual([version, gaps], [1, []])
  assert.deepEqual(system.events.filter(({ type }) => type === 'gap-confirmed'), [])
})
