import { Ajv, type Options, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'

const withFormats = (options: Options): Ajv => {
  const ajv = new Ajv({ useDefaults: true, allErrors: false, ...options })
  addFormats.default(ajv)
  return ajv
}

// Addresses hold text alone, so that `limit=50` has to become a number.
const text = withFormats({ coerceTypes: true })
// JSON has types: a number where the document specifies text is the client's error, not to be guessed away.
const json = withFormats({})

/** Fastify's validator: a JSON body exactly as documented, the parts of an address by their text. */
export const compileValidator = ({ schema, httpPart }: { schema: unknown; httpPart?: string }): ValidateFunction =>
  (httpPart === 'body' ? json : text).compile(schema as object)
