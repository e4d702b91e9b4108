import { LongtakeError } from '@longtake/contracts'
import { type Setting, SettingFault, type SettingValues } from './settings.ts'

export type Settings = Readonly<Record<string, Setting<unknown>>>
/** The config that a set of settings reads to. */
export type ConfigOf<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never }
export type Env = Readonly<Record<string, string | undefined>>

/**
 * Reads all settings and reports every fault at once, one line each, in a `LongtakeError` with code `INVALID_CONFIG`.
 * An empty variable counts as unset. An unset one with a near name that *is* set is a fault: a typo would otherwise
 * silently run on the default. Other unknown variables are fine, since services share an environment.
 */
export function readEnv<const S extends Settings>(env: Env, settings: S): ConfigOf<S> {
  const faults: string[] = []
  const config: Record<string, unknown> = {}
  const known = new Set(Object.values(settings).map(({ name }) => name))
  for (const [key, setting] of Object.entries(settings)) {
    const raw = valueOf(env, setting.name)
    const near = nearName(env, setting.name, known)
    if (near !== undefined) {
      faults.push(near)
    } else if (setting.insteadOf !== undefined && (raw !== '') === (valueOf(env, setting.insteadOf) !== '')) {
      faults.push(`set either ${setting.insteadOf} or ${setting.name}${raw === '' ? '' : ', not both'} (${setting.help})`)
    } else if (raw !== '') {
      try {
        config[key] = setting.parse(raw)
      } catch (error) {
        if (!(error instanceof SettingFault)) throw error
        const shown = setting.secret ? '' : ` is ${JSON.stringify(raw)}:`
        faults.push(`${setting.name}${shown} ${shown ? 'it ' : ''}${error.message} (${setting.help})`)
      }
    } else if (setting.fallback) {
      config[key] = setting.fallback.value
    } else {
      faults.push(`${setting.name} is not set (${setting.help})`)
    }
  }
  const keys = new Map(Object.entries(settings).map(([key, { name }]) => [name, key]))
  const values: SettingValues = { isSet: (name) => valueOf(env, name) !== '', value: (name) => config[keys.get(name) ?? ''] }
  for (const { rule } of Object.values(settings)) faults.push(...(rule?.(values) ?? []))
  if (faults.length === 0) return config as ConfigOf<S>
  const count = faults.length === 1 ? 'One setting is wrong' : `${faults.length} settings are wrong`
  throw new LongtakeError('INVALID_CONFIG', `${count}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
}

/** Empty if unset. */
const valueOf = (env: Env, name: string): string => env[name]?.trim() ?? ''

/** What `readEnv` would say of names near to these, for who sets them in an environment that it hands on. */
export function nearNames(env: Env, names: readonly string[]): string[] {
  const known = new Set(names)
  return names.flatMap((name) => nearName(env, name, known) ?? [])
}

function nearName(env: Env, name: string, known: ReadonlySet<string>): string | undefined {
  if (!name.startsWith('LONGTAKE_') || valueOf(env, name) !== '') return undefined
  const near = Object.keys(env).find((other) => !known.has(other) && other.startsWith('LONGTAKE') && env[other] !== '' && isNear(other, name))
  return near === undefined ? undefined : `${near} is no setting: is ${name} meant?`
}

/** At most two letters added, dropped or changed, or two neighbours swapped. */
function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 2) return false
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, change))
    }
    previous = row
  }
  return previous[b.length]! <= 2
}
