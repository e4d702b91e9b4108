import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BitratePolicy } from '../src/capture/bitrate-policy.ts'
import { ClockWatch } from '../src/capture/clock-watch.ts'
import { Overflow } from '../src/spool/overflow.ts'
import { RestartPolicy } from '../src/capture/restart-policy.ts'
import { describeChange, needsNextPart, recordable, type SourceLook } from '../src/capture/source-rules.ts'
import { minutesOf, StorageForecast } from '../src/capture/storage-forecast.ts'

const MIB = 1024 * 1024

describe('two clocks', () => {
  const tick = (wall: number, steady: number, freezes = false) => {
    const watch = new ClockWatch({ wall: 0, steady: 0 })
    if (freezes) watch.freezes()
    return watch.tick({ wall, steady }, 1000)
  }
  it('that both go on regularly, or a little late, say nothing', () => {
    assert.equal(tick(1000, 1000), null)
    assert.equal(tick(5900, 5900), null)
  })
  it('tell a sleep, in which one of them stood', () => assert.deepEqual(tick(3_600_000, 1000), { event: 'slept', ms: 3_600_000 }))
  it('tell that the page alone stood still', () => assert.deepEqual(tick(20_000, 20_000), { event: 'frozen', ms: 20_000 }))
  it('report a sleep by its length where neither of them stood, as on Windows', () => {
    assert.deepEqual(tick(600_000, 600_000), { event: 'slept', ms: 600_000 })
    assert.deepEqual(tick(600_000, 600_000, true), { event: 'frozen', ms: 600_000 })
    assert.equal(new ClockWatch({ wall: 0, steady: 0 }).tick({ wall: 110_000, steady: 110_000 }, 90_000)?.event, 'frozen')
  })
  it('believe the browser, which says that it freezes the page', () => assert.deepEqual(tick(20_000, 1000, true), { event: 'frozen', ms: 20_000 }))
  it('say nothing of a clock that was set back', () => assert.equal(tick(-3_600_000, 1000), null))
  it('know how far apart the ticks of a throttled page are', () => {
    assert.equal(new ClockWatch({ wall: 0, steady: 0 }).tick({ wall: 60_000, steady: 60_000 }, 90_000), null)
  })
  it('begin anew after each', () => {
    const watch = new ClockWatch({ wall: 0, steady: 0 })
    watch.tick({ wall: 100_000, steady: 100_000 }, 1000)
    assert.equal(watch.tick({ wall: 101_000, steady: 101_000 }, 1000), null)
  })
})

describe('the bits of pictures', () => {
  /** Told every 5 s; the shares it gave, with the seconds. */
  const sharesOf = (seconds: number, waiting: (second: number) => number, connected: (second: number) => boolean = () => true, acknowledged = (second: number): number => second): [second: number, share: number][] => {
    const policy = new BitratePolicy()
    const shares: [number, number][] = []
    for (let second = 0; second <= seconds; second += 5) {
      const before = policy.share
      // Timers are never exact.
      policy.see({ now: second * 1003, connected: connected(second), waitingBytes: waiting(second), acknowledgedBytes: acknowledged(second) })
      if (policy.share !== before) shares.push([second, Math.round(policy.share * 1000) / 1000])
    }
    return shares
  }
  it('become fewer, step by step to a floor, while a backlog grows', () => {
    assert.deepEqual(sharesOf(600, (second) => second * 100_000), [[20, 0.7], [50, 0.49], [80, 0.343], [110, 0.25]])
  })
  it('stay as they are while offline, whatever waits', () => assert.deepEqual(sharesOf(600, (second) => second * 100_000, () => false), []))
  it('stay while the server acknowledges nothing, and when it does again', () => {
    const silent = (from: number, to: number) => (second: number): number => Math.min(second, from) + Math.max(0, second - to)
    const waits = (from: number, to: number) => (second: number): number => (second < from || second > to ? 0 : (second - from) * 100_000)
    assert.deepEqual(sharesOf(120, waits(40, 80), () => true, silent(40, 80)), [])
    assert.deepEqual(sharesOf(120, waits(43, 58), () => true, silent(43, 58)), [])
  })
  it('stay when a backlog shrinks, or comes and goes, or is one giant chunk', () => {
    assert.deepEqual(sharesOf(600, (second) => (600 - second) * 100_000), [])
    assert.deepEqual(sharesOf(600, (second) => (second % 10) * 200_000), [])
    assert.deepEqual(sharesOf(100, (second) => (second < 50 ? 0 : 50 * MIB)), [])
  })
  it('do not take the time offline for a thin line', () => {
    assert.deepEqual(sharesOf(100, (second) => (second < 80 ? second * 100_000 : 8_000_000 - (second - 80) * 100_000), (second) => second >= 80), [])
  })
  it('become more after five calm minutes, and after ten if that did not last', () => {
    const thin = (second: number): number => Math.max(0, second <= 20 ? second * 100_000 : second > 325 && second <= 360 ? (second - 325) * 100_000 : 0)
    const shares = sharesOf(1200, thin)
    assert.deepEqual(shares.map(([, share]) => share), [0.7, 1, 0.7, 1])
    const [down, up, again, last] = shares.map(([second]) => second)
    assert.equal(up! - down! >= 300 && up! - down! < 315, true)
    assert.equal(last! - again! >= 600, true)
  })
})

describe('space on this computer', () => {
  it('is told in minutes at the rate of the last minute', () => {
    const forecast = new StorageForecast()
    assert.equal(forecast.see({ now: 0, recordedBytes: 0, availableBytes: 600 * MIB }), null)
    assert.deepEqual(forecast.see({ now: 10_000, recordedBytes: 10 * MIB, availableBytes: 600 * MIB }), { minutes: 10, availableBytes: 600 * MIB, isNews: false })
  })
  it('is news once when it becomes little, and again only after it was plenty', () => {
    const forecast = new StorageForecast()
    const news = [1000, 500, 400, 700, 500, 2000, 500].map((mib, i) => forecast.see({ now: i * 1000, recordedBytes: i * MIB, availableBytes: mib * MIB })?.isNews)
    assert.deepEqual(news, [undefined, true, false, false, false, false, true])
  })
  it('is never below nothing', () => assert.equal(minutesOf(-5, 1), 0))
})

describe('what the store has no space for', () => {
  const chunk = (seq: number, bytes: number) => ({ part: 'p', seq, payload: new ArrayBuffer(bytes), sha256: new Uint8Array(32), capturedAt: 0 })
  it('waits in memory up to a bound, until it is sent', () => {
    const overflow = new Overflow()
    assert.deepEqual([0, 1, 2].map((seq) => overflow.add(chunk(seq, 3 * MIB))), [true, true, false])
    assert.equal(overflow.read('p', 1)?.payload.byteLength, 3 * MIB)
    assert.equal(overflow.read('p', 2), undefined)
    overflow.forget('q', 0, 9)
    overflow.forget('p', 0, 0)
    assert.equal(overflow.read('p', 0), undefined)
    assert.equal(overflow.add(chunk(3, 3 * MIB)), true)
  })
})

describe('sources', () => {
  const video: SourceLook = { id: 'v', kind: 'video', live: true, muted: false, shape: '640×480' }
  const audio: SourceLook = { id: 'a', kind: 'audio', live: true, muted: false, shape: '48000 Hz × 1' }
  it('are recorded while they live; a muted camera only where nothing else is', () => {
    assert.deepEqual(recordable([{ ...video, muted: true }, audio]), [audio])
    assert.deepEqual(recordable([{ ...video, muted: true }]), [{ ...video, muted: true }])
    assert.deepEqual(recordable([video, { ...audio, muted: true }]), [video, { ...audio, muted: true }])
    assert.deepEqual(recordable([{ ...video, live: false }, audio]), [audio])
  })
  const needs = (before: SourceLook[], now: SourceLook[], partAgeMs = 60_000): boolean => needsNextPart({ recorded: [video, audio], wantedBefore: recordable(before), wanted: recordable(now), now, partAgeMs })
  it('make another part when one is gone, at once', () => {
    assert.equal(needs([video, audio], [{ ...video, live: false }, audio], 0), true)
    assert.equal(needs([video, audio], [video, audio]), false)
  })
  it('make another part when a change lasts, unless the part is young or nothing is known', () => {
    const wide = { ...video, shape: '1280×720' }
    assert.equal(needs([video, audio], [wide, audio]), false)
    assert.equal(needs([wide, audio], [wide, audio]), true)
    assert.equal(needs([wide, audio], [wide, audio], 1000), false)
    assert.equal(needs([{ ...video, shape: '' }, audio], [{ ...video, shape: '' }, audio]), false)
    assert.equal(describeChange([video, audio], [wide, audio]), 'video: 640×480 → 1280×720')
    assert.equal(describeChange([video, audio], [video]), undefined)
  })
})

describe('a recorder that fails', () => {
  it('is tried again in growing waits, and anew after one that lasted', () => {
    const policy = new RestartPolicy()
    assert.deepEqual([100, 0, 0, 0, 0, 0].map((ranForMs) => policy.failed(ranForMs)), [0, 1000, 5000, 15_000, 30_000, null])
    assert.equal(policy.failed(3_600_000), 0)
  })
})
