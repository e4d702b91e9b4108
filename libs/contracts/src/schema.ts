import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { LongtakeError } from './errors.ts'

/** A compiled schema: `is` narrows, `parse` throws `INVALID_SHAPE` naming every fault it found. */
export interface Shape<S extends TSchema> {
  readonly schema: S
  is(value: unknown): value is Static<S>
  parse(value: unknown): Static<S>
  /** Faults in plain words, one a line; empty when the value fits. */
  faults(value: unknown): string[]
}

export function shape<S extends TSchema>(name: string, schema: S): Shape<S> {
  const compiled = Compile(schema)
  const faults = (value: unknown): string[] =>
    compiled.Errors(value).map((fault) => `${fault.instancePath === '' ? name : fault.instancePath} ${fault.message}`)
  const is = (value: unknown): value is Static<S> => compiled.Check(value)
  return {
    schema,
    is,
    faults,
    parse(value) {
      if (is(value)) return value
      throw new LongtakeError('INVALID_SHAPE', `not a valid ${name}: ${faults(value).slice(0, 5).join('; ')}`)
    },
  }
}
