import { Secret } from './secret.ts'

/** How one environment variable is read. `parse` throws a `SettingFault` that says what would be right. */
export interface Setting<T> {
  readonly name: string
  readonly help: string
  readonly secret: boolean
  /** What it is when unset; a setting without one is required. */
  readonly fallback?: { readonly value: T }
  /** Name of another setting: of the two exactly one must be set. */
  readonly insteadOf?: string
  parse(raw: string): T
  /** What must hold between this and other settings, set or not. Returns the faults, each with the names concerned. */
  readonly rule?: (settings: SettingValues) => readonly string[]
}

/** All settings that are read together, by their names. */
export interface SettingValues {
  readonly isSet: (name: string) => boolean
  /** Undefined if it is not set, has no default, or is malformed. */
  readonly value: (name: string) => unknown
}

/** `must …`, in plain words; never contains the value. */
export class SettingFault extends Error {}

interface Options<D> {
  /** What the setting is for, as an operator would ask; printed with every fault. */
  help: string
  /** Makes the setting optional. `undefined` is a possible default. */
  default?: D
  insteadOf?: string
}

function setting<T, D>(name: string, options: Options<D>, parse: (raw: string) => T, secret = false): Setting<T | D> {
  const { help, insteadOf } = options
  const base = { name, help, secret, parse, ...(insteadOf === undefined ? {} : { insteadOf }) }
  return 'default' in options ? { ...base, fallback: { value: options.default as D } } : base
}

export function text<const D = never>(name: string, options: Options<D>): Setting<string | D> {
  return setting(name, options, (raw) => raw)
}

export function integer<const D = never>(name: string, options: Options<D> & { min?: number; max?: number }): Setting<number | D> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options
  return setting(name, options, (raw) => {
    const value = /^-?\d{1,16}$/.test(raw) ? Number(raw) : Number.NaN
    if (value >= min && value <= max) return value
    throw new SettingFault(`must be a whole number ${bounds(min, max)}`)
  })
}

/** A TCP port; 0 lets the system choose one. */
export function port<const D = never>(name: string, options: Options<D>): Setting<number | D> {
  return integer(name, { ...options, min: 0, max: 65_535 })
}

/** A share from 0 (none) to 1 (all). */
export function ratio<const D = never>(name: string, options: Options<D>): Setting<number | D> {
  return setting(name, options, (raw) => {
    const value = /^\d*\.?\d+$/.test(raw) ? Number(raw) : Number.NaN
    if (value >= 0 && value <= 1) return value
    throw new SettingFault('must be a number from 0 to 1, as 0.05')
  })
}

export function flag<const D = never>(name: string, options: Options<D>): Setting<boolean | D> {
  return setting(name, options, (raw) => {
    if (raw === 'true') return true
    if (raw === 'false') return false
    throw new SettingFault('must be true or false')
  })
}

export function oneOf<const V extends string, const D = never>(name: string, values: readonly V[], options: Options<D>): Setting<V | D> {
  return setting(name, options, (raw) => {
    const value = values.find((candidate) => candidate === raw)
    if (value !== undefined) return value
    throw new SettingFault(`must be one of ${values.join(', ')}`)
  })
}

/** Comma-separated, blanks around items ignored, at least one item. */
export function list<const D = never>(name: string, options: Options<D>): Setting<string[] | D> {
  return setting(name, options, (raw) => {
    const items = raw.split(',').map((item) => item.trim())
    if (items.every((item) => item !== '')) return items
    throw new SettingFault('must be a list with commas between its items, none of them empty')
  })
}

/** An absolute URL without a trailing slash. `protocols` without colon; http and https by default. */
export function url<const D = never>(name: string, options: Options<D> & { protocols?: readonly string[] }): Setting<string | D> {
  const { protocols = ['http', 'https'] } = options
  return setting(name, options, (raw) => {
    if (URL.canParse(raw) && protocols.includes(new URL(raw).protocol.slice(0, -1))) return raw.replace(/\/+$/, '')
    throw new SettingFault(`must be a URL that begins with ${protocols.map((protocol) => `${protocol}://`).join(' or ')}`)
  })
}

/** Never printed, not even when it is wrong. */
export function secret<const D = never>(name: string, options: Options<D> & { minLength?: number }): Setting<Secret | D> {
  const { minLength = 1 } = options
  return setting(
    name,
    options,
    (raw) => {
      if (raw.length >= minLength) return new Secret(raw)
      throw new SettingFault(`must have at least ${minLength} characters (it has ${raw.length})`)
    },
    true,
  )
}

const MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds, written with a unit: `500ms`, `30s`, `5m`, `48h`, `7d`. A bare number is refused as ambiguous. */
export function duration<const D = never>(name: string, options: Options<D> & { min?: number; max?: number }): Setting<number | D> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options
  return setting(name, options, (raw) => {
    const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(raw)
    const value = match ? Number(match[1]) * MS[match[2] as keyof typeof MS] : Number.NaN
    if (value >= min && value <= max) return value
    throw new SettingFault(`must be a time with its unit (ms, s, m, h or d), as 30s, ${bounds(`${min}ms`, max === Number.MAX_SAFE_INTEGER ? max : `${max}ms`)}`)
  })
}

const BYTES = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

/** A number of bytes: `65536`, `64KiB`, `4MiB`, `2GiB`. */
export function bytes<const D = never>(name: string, options: Options<D> & { min?: number; max?: number }): Setting<number | D> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options
  return setting(name, options, (raw) => {
    const match = /^(\d{1,15})(B|KiB|MiB|GiB|)$/.exec(raw)
    const value = match ? Number(match[1]) * BYTES[match[2] as keyof typeof BYTES] : Number.NaN
    if (value >= min && value <= max) return value
    throw new SettingFault(`must be a number of bytes, as 65536, 64KiB or 4MiB, ${bounds(min, max)}`)
  })
}

function bounds(min: number | string, max: number | string): string {
  return max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
}
