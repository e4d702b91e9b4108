/** The run in a dozen lines. `data` is what k6 hands to `handleSummary`. */
export function report({ metrics, state }, { SESSIONS, SECONDS, SPEED }) {
  const value = (name, stat) => metrics[name]?.values[stat] ?? 0
  const ms = (name) => ['med', 'p(95)', 'p(99)', 'max'].map((stat) => `${stat.replace(/[()]/g, '')} ${Math.round(value(name, stat))} ms`).join('   ')
  const seconds = state.testRunDurationMs / 1000
  const count = (name) => value(name, 'count')
  const verdicts = Object.entries(metrics).flatMap(([name, { thresholds = {} }]) => Object.entries(thresholds).map(([rule, { ok }]) => ({ ok, text: `${name} ${rule}` })))
  const failed = verdicts.filter(({ ok }) => !ok)
  return `
  sessions       ${count('longtake_sessions')} of ${SESSIONS}, ${SECONDS} s each at ${SPEED}× real time, in ${seconds.toFixed(1)} s
  whole          ${metrics.longtake_whole?.values.passes ?? 0}
  acknowledged   ${count('longtake_acknowledged')} chunks, ${(count('longtake_bytes') / 1e6).toFixed(1)} MB (${(count('longtake_acknowledged') / seconds).toFixed(1)} a second)
  stored         ${count('longtake_stored')} chunks of the sessions that became complete
  acks           ${ms('longtake_ack_ms')}
  complete       ${ms('longtake_complete_ms')}   after the end
  finalized      ${ms('longtake_finalized_ms')}   after the end
  connected again ${count('longtake_reconnects')} times; faults of the protocol: ${count('longtake_violations')}

  ${failed.length === 0 ? `passed: all ${verdicts.length} thresholds` : `FAILED: ${failed.map(({ text }) => text).join(', ')}`}

`
}
