import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { SESSION_LIMITS } from '../src/limits.ts'
import { SessionUsage, UsageBySession } from '../src/session-usage.ts'
import { TokenBucket } from '../src/token-bucket.ts'
import { Conversation, NOW, openMessage, bytes, HEAD, WEBCAM } from './conversation.ts'

const HOUR = 3_600_000

test('a bucket refills to its burst, goes into debt and says when that is paid', () => {
  const bucket = new TokenBucket({ burst: 10, perSecond: 2 }, 5000, 0)
  bucket.spend(10, 0)
  assert.equal(bucket.waitMs(0), 0)
  bucket.spend(4, 0)
  assert.equal(bucket.waitMs(0), 2000)
  assert.equal(bucket.waitMs(1000), 1000)
  bucket.spend(1_000_000, 1000)
  assert.equal(bucket.waitMs(1000), 5000, 'more than that is forgiven')
  assert.equal(bucket.isFull(60_000), true)
  // A clock that is set back neither pays nor charges.
  bucket.spend(1, 50_000)
  assert.equal(bucket.waitMs(50_000), 0)
})

test('given a recorder that uploads three hours of two tracks at once, nothing is delayed or refused', () => {
  const usage = new SessionUsage(SESSION_LIMITS, NOW)
  assert.equal(usage.connect(0, NOW), undefined)
  for (const track of ['webcam', 'screen']) assert.equal(usage.namePart(track, randomUUID(), NOW), undefined)
  for (let chunk = 0; chunk < 2 * 3 * 3600; chunk += 1) {
    // At 1 Gbit/s.
    const now = NOW + chunk
    assert.equal(usage.receive(90_000, now), undefined)
    assert.equal(usage.record(now), now)
  }
})

test('given three clients that each recover 256 parts and report what happened, nothing is refused', () => {
  const usage = new SessionUsage(SESSION_LIMITS, NOW)
  for (let client = 0; client < 3; client += 1) {
    assert.equal(usage.connect(client, NOW), undefined)
    for (let part = 0; part < 256; part += 1) {
      assert.equal(usage.namePart('webcam', randomUUID(), NOW), undefined)
      for (let frame = 0; frame < 4; frame += 1) assert.equal(usage.receive(300, NOW) ?? usage.text(NOW), undefined)
      assert.equal(usage.hole(NOW), undefined)
    }
    for (let report = 0; report < 50; report += 1) assert.equal(usage.report(NOW), undefined)
  }
})

test('given a day of two tracks whose device changes every minute, nothing is refused but parts beyond what a status can list', () => {
  const usage = new SessionUsage(SESSION_LIMITS, NOW)
  for (let second = 0; second < 12 * 3600; second += 1) {
    const now = NOW + second * 1000
    if (second % 60 === 0) for (const track of ['webcam', 'screen']) assert.equal(usage.namePart(track, randomUUID(), now), undefined)
    for (let client = 0; client < 3; client += 2) assert.equal(usage.connect(client, now), undefined)
    for (let chunk = 0; chunk < 8; chunk += 1) assert.equal(usage.receive(60_000, now) ?? (usage.record(now) === now ? undefined : 'late'), undefined)
    assert.equal(usage.text(now), undefined)
  }
})

test('given a token that is used without restraint, each kind of use ends at its limit', () => {
  const usage = new SessionUsage(SESSION_LIMITS, NOW)
  const accepted = (use: () => string | undefined): number => {
    for (let count = 0; ; count += 1) if (use() !== undefined || count > 1_000_000) return count
  }
  assert.equal(usage.connect(SESSION_LIMITS.maxConnections, NOW), 'REC_TOO_MANY_CONNECTIONS')
  assert.equal(accepted(() => usage.connect(0, NOW)), 120)
  assert.equal(accepted(() => usage.namePart('webcam', randomUUID(), NOW)), 1024)
  assert.equal(accepted(() => usage.report(NOW)), 300)
  assert.equal(accepted(() => usage.hole(NOW)), 2000)
  assert.equal(accepted(() => usage.text(NOW)), 5000)
  assert.ok(accepted(() => usage.receive(1 << 20, NOW)) <= 2048 + 32 * 30 + 1)
  const tracks = new SessionUsage(SESSION_LIMITS, NOW)
  assert.equal(accepted(() => tracks.namePart(`track-${randomUUID().slice(0, 8)}`, randomUUID(), NOW)), SESSION_LIMITS.maxTracks)
  const parts = new SessionUsage(SESSION_LIMITS, NOW)
  let now = NOW
  assert.equal(accepted(() => parts.namePart('webcam', randomUUID(), (now += 2000))), SESSION_LIMITS.maxParts)
  assert.equal(parts.namePart('webcam', randomUUID(), now + HOUR), 'REC_TOO_MANY_PARTS')
})

test('given a known part that is opened again after each reconnect, it counts once', () => {
  const usage = new SessionUsage(SESSION_LIMITS, NOW)
  for (let i = 0; i < 5000; i += 1) assert.equal(usage.namePart('webcam', WEBCAM.part, NOW), undefined)
})

test('sessions that are gone and have used nothing lately leave memory, others stay', () => {
  const gone = new Set<string>()
  const sessions = new UsageBySession(SESSION_LIMITS, (session) => gone.has(session))
  for (let i = 0; i < 100; i += 1) sessions.of(`s-${i}`, NOW).connect(0, NOW)
  sessions.of('busy', NOW).receive(3 * 1024 ** 3, NOW)
  for (const session of [...Array.from({ length: 99 }, (_, i) => `s-${i}`), 'busy']) gone.add(session)
  sessions.tick(NOW + 70_000)
  assert.equal(sessions.size, 2)
})

const slow = { ...SESSION_LIMITS, records: { burst: 3, perSecond: 1 } }

test('given chunks above the rate, all are taken and none is dropped, but their acks come at the rate', () => {
  const conversation = Conversation.withOpen([WEBCAM], { usage: new SessionUsage(slow, NOW) })
  for (let seq = 0; seq < 6; seq += 1) conversation.sends(0, seq)
  assert.equal(conversation.shipped.length, 6)
  conversation.settlesAll().flushes()
  assert.deepEqual(conversation.acknowledged(0), [0, 1])
  conversation.now += 1000
  assert.deepEqual(conversation.flushes().acknowledged(0), [0, 1, 2])
  conversation.now += 3000
  assert.deepEqual(conversation.flushes().acknowledged(0), [0, 1, 2, 3, 4, 5])
  assert.equal(conversation.connection.inFlight, 0)
})

test('given chunks above the rate whose acks are not awaited, the window ends the connection, with all that is durable acknowledged', () => {
  const conversation = Conversation.withOpen([WEBCAM], { usage: new SessionUsage(slow, NOW), windowBytes: 1000 })
  for (let seq = 0; conversation.closedWith === undefined; seq += 1) conversation.sends(0, seq, seq === 0 ? HEAD : bytes(100)).settlesAll().flushes()
  assert.equal(conversation.error, 'REC_WINDOW_EXCEEDED')
  assert.ok(conversation.acknowledged(0).length >= 10)
})

test('given a debt of more than half a minute, nothing more is taken, and a new connection does not help', () => {
  const usage = new SessionUsage(slow, NOW)
  const conversation = Conversation.withOpen([WEBCAM], { usage })
  for (let seq = 0; conversation.closedWith === undefined; seq += 1) conversation.sends(0, seq)
  assert.equal(conversation.error, 'REC_RATE_LIMITED')
  assert.ok(conversation.shipped.length <= 34)
  assert.equal(usage.connect(0, NOW), 'REC_RATE_LIMITED')
  assert.equal(usage.connect(0, NOW + 60_000), undefined)
})

test('given a drain, what is durable is answered at once', () => {
  const conversation = Conversation.withOpen([WEBCAM], { usage: new SessionUsage(slow, NOW) })
  for (let seq = 0; seq < 6; seq += 1) conversation.sends(0, seq)
  conversation.settlesAll().take(conversation.connection.drain())
  assert.deepEqual(conversation.acknowledged(0), [0, 1, 2, 3, 4, 5])
  assert.equal(conversation.closedWith, 1012)
})

test('given chunks that each leave one out, or pings, reports and parts without end, a code says why it ends', () => {
  const few = { burst: 5, perSecond: 0.1 }
  const limits = { ...SESSION_LIMITS, holes: few, reports: few, parts: few, texts: { burst: 20, perSecond: 1 } }
  const told = (say: (conversation: Conversation, count: number) => void): string | undefined => {
    const conversation = Conversation.withOpen([WEBCAM], { usage: new SessionUsage(limits, NOW) })
    for (let count = 0; conversation.closedWith === undefined && count < 100; count += 1) say(conversation, count)
    assert.equal(conversation.closedWith, 4429)
    return conversation.error
  }
  assert.equal(told((conversation, count) => conversation.sends(0, 2 * count)), 'REC_RATE_LIMITED')
  assert.equal(told((conversation) => conversation.says({ type: 'ping', t: 1 })), 'REC_RATE_LIMITED')
  assert.equal(told((conversation) => conversation.says({ type: 'report', event: 'hidden', at: '2026-03-01T12:00:00Z' })), 'REC_RATE_LIMITED')
  assert.equal(told((conversation, count) => conversation.says({ type: 'lost', ...WEBCAM, from: 2 * count, to: 2 * count, cause: 'crash' })), 'REC_RATE_LIMITED')
  assert.equal(told((conversation) => conversation.says({ type: 'close', track: 'webcam', part: randomUUID(), chunks: 1, clean: true })), 'REC_RATE_LIMITED')
  const many = Array.from({ length: SESSION_LIMITS.maxParts + 1 }, () => randomUUID())
  assert.equal(told((conversation) => conversation.says({ type: 'finish', parts: { webcam: many } })), 'REC_TOO_MANY_PARTS')
  assert.equal(told((conversation, count) => conversation.says(openMessage(1 + count, { track: 'webcam', part: randomUUID() }))), 'REC_RATE_LIMITED')
})
