import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keepUp, type LoadChange } from '../src/adapt/index.ts'
import { LoadPolicy, type LoadSample, type LoadVerdict } from '../src/adapt/load-policy.ts'

const ASKED = 1_000_000

describe('whether a computer keeps up', () => {
  const verdictsOf = (seconds: number, sampleAt: (second: number) => Partial<LoadSample>): [second: number, LoadVerdict][] => {
    const policy = new LoadPolicy(ASKED)
    const verdicts: [number, LoadVerdict][] = []
    for (let second = 0; second <= seconds; second += 1) {
      const verdict = policy.see({ now: second * 1000, recordedBytes: second * 100_000, frames: null, isCpuCritical: false, ...sampleAt(second) })
      if (verdict === null) continue
      verdicts.push([second, verdict])
      if (verdict !== 'calm') policy.changed()
    }
    return verdicts
  }
  it('is so while frames come and the bits are about those that were asked for', () => {
    assert.deepEqual(verdictsOf(299, (second) => ({ recordedBytes: second * 200_000, frames: { total: second * 30, dropped: second } })), [])
  })
  it('is not when a fifth of the frames is dropped for 20 s', () => {
    assert.deepEqual(verdictsOf(45, (second) => ({ frames: { total: second * 30, dropped: second * 6 } })), [[20, 'cpu'], [41, 'cpu']])
    assert.deepEqual(verdictsOf(60, (second) => ({ frames: { total: second * 30, dropped: second > 30 && second < 34 ? (second - 30) * 30 : second >= 34 ? 90 : 0 } })), [])
  })
  it('is not when the processor is at its limit for 20 s on end', () => {
    assert.deepEqual(verdictsOf(20, () => ({ isCpuCritical: true })), [[20, 'cpu']])
    assert.deepEqual(verdictsOf(60, (second) => ({ isCpuCritical: second % 15 !== 0 })), [])
  })
  it('knows a browser that ignores the bitrate', () => assert.deepEqual(verdictsOf(20, (second) => ({ recordedBytes: second * 300_000 })), [[20, 'bitrate']]))
  it('says so when all was well for five minutes', () => assert.deepEqual(verdictsOf(600, () => ({})), [[300, 'calm'], [600, 'calm']]))
})

describe('a picture that is too much', () => {
  /** The source does what it is asked for, and is recorded with three times the bits that were asked for. */
  async function running(seconds: number, t: { mock: typeof import('node:test').mock }): Promise<{ asked: object[]; changes: LoadChange[]  }> {
    t.mock.timers.enable({ apis: ['setInterval'] })
    let now = 0
    t.mock.method(performance, 'now', () => now)
    const asked: object[] = []
    const picture = {
      readyState: 'live',
      getSettings: () => ({ frameRate: 30, width: 1920, height: 1080 }),
      getConstraints: () => ({ deviceId: 'camera' }),
      applyConstraints: (constraints: object) => (asked.push(constraints), Promise.resolve()),
    }
    const changes: LoadChange[] = []
    const recorder = { get progress() { return { webcam: { recorded: { chunks: 0, bytes: now * 375 } } } as never } }
    const end = keepUp(recorder, { track: 'webcam', stream: { getVideoTracks: () => [picture] } as never, bitsPerSecond: ASKED, changed: (change) => changes.push(change) })
    for (let second = 1; second <= seconds; second += 1) {
      now += 1000
      t.mock.timers.tick(1000)
      await Promise.resolve().then(() => undefined).then(() => undefined).then(() => undefined)
    }
    end()
    return { asked, changes }
  }
  it('gets fewer frames, then fewer pixels, and no step more than there are', async (t) => {
    const { asked, changes } = await running(300, t as never)
    assert.deepEqual(asked, [
      { deviceId: 'camera', frameRate: { max: 15 }, width: { max: 1920 }, height: { max: 1080 } },
      { deviceId: 'camera', frameRate: { max: 15 }, width: { max: 1280 }, height: { max: 720 } },
      { deviceId: 'camera', frameRate: { max: 10 }, width: { max: 960 }, height: { max: 540 } },
    ])
    assert.deepEqual(changes.map(({ reason, measuredBitsPerSecond }) => [reason, measuredBitsPerSecond]), [['bitrate', 3_000_000], ['bitrate', 3_000_000], ['bitrate', 3_000_000]])
  })
})
