import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSettings } from '../settings.ts'

test('without options it is a run that any machine bears', () => {
  const { settings, keep, profile } = readSettings([])
  assert.deepEqual({ sessions: settings.sessions, seconds: settings.seconds, speed: settings.speed, keep, profile }, { sessions: 20, seconds: 15, speed: 1, keep: false, profile: 'small' })
})

test('options change a profile one by one; more sessions run at once unless said otherwise', () => {
  const { settings, keep } = readSettings(['--profile', 'flood', '--sessions', '7', '--keep'])
  assert.deepEqual([settings.sessions, settings['at-once'], settings.speed, keep], [7, 7, 20, true])
  assert.equal(readSettings(['--sessions', '7', '--at-once', '2']).settings['at-once'], 2)
})

test('what makes no sense is refused in one line', () => {
  for (const [args, words] of [
    [['--profile', 'huge'], /there is no profile huge: npm run load/],
    [['--seconds', '1801'], /--seconds 1801 is not from 1 to 1800/],
    [['--speed', 'fast'], /--speed fast is not from 0.1 to 100/],
    [['--colour', 'red'], /colour.*npm run load/],
  ] as const) {
    assert.throws(() => readSettings(args), (error: Error) => error.name === 'SetupError' && words.test(error.message) && !error.message.includes('\n'))
  }
})
