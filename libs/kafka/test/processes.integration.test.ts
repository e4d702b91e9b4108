import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { testKafka } from '@longtake/testkit'
import { createProducer, startConsumer, type CloseReason, type Producer } from '../src/index.ts'
import { committed, Journal, kafka, makeTopics, unexpected, unique } from './support.ts'

interface Told {
  what: 'assigned' | 'handled' | 'closed'
  topic: string
  partition: number
  offset: string
  value: string
  reason: CloseReason
}

/** A member in a process of its own, whose doings come into the journal under `name`. */
class Member implements Disposable {
  readonly child: ChildProcess
  constructor(journal: Journal, name: string, group: string, topic: string, mode: 'work' | 'hold') {
    this.child = fork(new URL('fixtures/member.ts', import.meta.url), [testKafka(), group, topic, mode], { execPath: process.execPath, execArgv: [] })
    this.child.on('message', (message) => {
      const { what, partition, reason, topic: of, offset, value } = message as Told
      if (what === 'handled') journal.add(name, { what, topic: of, partition, offset: BigInt(offset), value })
      else if (what === 'closed') journal.add(name, { what, partition, reason })
      else journal.add(name, { what, partition })
    })
  }
  [Symbol.dispose](): void {
    this.child.kill('SIGKILL')
  }
}

const send = (producer: Producer, topic: string, from: number, to: number) =>
  Promise.all(Array.from({ length: to - from }, (_, index) => producer.send({ topic, partition: (from + index) % 4, key: 's', value: Buffer.from(String(from + index)) })))

/** All of `count` values, each partition's in order at their first appearance. */
function assertWhole(journal: Journal, count: number): void {
  const seen = new Set<string>()
  const byPartition = new Map<number, number>()
  for (const { partition, value } of journal.handled()) {
    if (seen.has(value)) continue
    seen.add(value)
    assert.ok(Number(value) > (byPartition.get(partition) ?? -1), `${value} came behind ${byPartition.get(partition)}`)
    byPartition.set(partition, Number(value))
  }
  assert.equal(seen.size, count)
}

test('a member killed with -9 again and again: the other takes over, nothing is missing, order is kept', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['killed'], 4)
  await using producer = createProducer({ kafka: kafka() })
  const group = unique('group')
  const journal = new Journal()
  await using survivor = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, sessionTimeoutMs: 2000, heartbeatMs: 300, commitIntervalMs: 50, ...journal.member('survivor') })
  let sent = 0
  for (const name of ['first', 'second', 'third']) {
    using member = new Member(journal, name, group, topic, 'work')
    await journal.until('a share for it', () => journal.held(name).length === 2 && journal.held('survivor').length === 2)
    const sending = send(producer, topic, sent, (sent += 1000))
    await journal.until('it to be at work', () => journal.handled(name).length >= 100)
    member.child.kill('SIGKILL')
    await once(member.child, 'exit')
    await sending
    await journal.until('the survivor to have all', () => journal.held('survivor').length === 4)
  }
  await journal.until('everything', () => new Set(journal.handled().map(({ value }) => value)).size === sent)
  assertWhole(journal, sent)
  // What stayed with the survivor through all this kept its handlers: it gave up two partitions each time, none was lost.
  assert.deepEqual(journal.entries.filter((entry) => entry.member === 'survivor' && entry.what === 'closed' && entry.reason !== 'revoked'), [])
  // That somebody has handled everything does not mean that the survivor has read again what a killed member had not committed.
  const committedInAll = async () => [...(await committed(kafka(), group, topic)).values()].reduce((sum, offset) => sum + Number(offset), 0)
  for (const deadline = Date.now() + 30_000; (await committedInAll()) < sent; await delay(100)) assert.ok(Date.now() < deadline, 'the survivor commits everything')
  await survivor.close()
  assert.equal(await committedInAll(), sent)
})

test('a member stopped until its partitions have moved, then resumed: its commits are refused, it starts anew', async () => {
  const [topic = ''] = await makeTopics(kafka(), ['stopped'], 4)
  await using producer = createProducer({ kafka: kafka() })
  const group = unique('group')
  const journal = new Journal()
  using zombie = new Member(journal, 'zombie', group, topic, 'hold')
  await journal.until('the zombie to hold all', () => journal.held('zombie').length === 4)
  await send(producer, topic, 0, 400)
  await journal.until('the zombie to have all', () => journal.handled('zombie').length === 400)
  zombie.child.kill('SIGSTOP')

  // The heir completes only the first 200, and so the group's offsets stand there.
  const heir = await startConsumer({ kafka: kafka(), group, topics: [topic], onFatal: unexpected, sessionTimeoutMs: 2000, heartbeatMs: 300, commitIntervalMs: 50, ...journal.member('heir', (record, partition) => void (Number(record.value.toString()) < 200 && partition.done(record))) })
  await journal.until('the heir to have all', () => journal.handled('heir').length === 400)
  await heir.commit()
  const offsets = async () => [...(await committed(kafka(), group, topic)).values()]
  assert.deepEqual(await offsets(), ['50', '50', '50', '50'])

  // It wakes up with 400 completed records and commits them at once.
  zombie.child.send('complete')
  zombie.child.kill('SIGCONT')
  await journal.until('the zombie to know', () => journal.entries.filter((entry) => entry.member === 'zombie' && entry.what === 'closed' && entry.reason === 'lost').length === 4)
  assert.deepEqual(await offsets(), ['50', '50', '50', '50'])
  await journal.until('an even share', () => journal.held('zombie').length === 2 && journal.held('heir').length === 2)
  await heir.close()
  await journal.until('the former zombie to go on where the heir was', () => journal.handled('zombie').length === 400 + 200)
  assert.ok(journal.handled('zombie').slice(400).every(({ value }) => Number(value) >= 200))
})
