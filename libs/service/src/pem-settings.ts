import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Secret } from './secret.ts'
import { type Setting, SettingFault } from './settings.ts'

interface Options {
  /** What the setting is for, as an operator would ask; printed with every fault. */
  help: string
}

/** Values are never printed: a key may have come into the wrong variable. */
const optional = <T>(name: string, { help }: Options, parse: (pem: string) => T): Setting<T | undefined> => ({
  name,
  help,
  secret: true,
  fallback: { value: undefined },
  parse: (raw) => parse(pemOf(raw)),
})

/** One or more X.509 certificates as PEM, given as such or as the path of a file that is read at once. */
export function certificates(name: string, options: Options): Setting<string | undefined> {
  return optional(name, options, (pem) => {
    const found = certificatesIn(pem)
    if (found.length === 0) throw new SettingFault('must hold a certificate: -----BEGIN CERTIFICATE-----')
    if (!found.every(isCertificate)) throw new SettingFault('must hold certificates in PEM only; one of them cannot be read')
    return pem
  })
}

/** A private key without a passphrase as PEM, given as such or as the path of a file that is read at once. */
export function privateKey(name: string, options: Options): Setting<Secret | undefined> {
  return optional(name, options, (pem) => {
    try {
      createPrivateKey(pem)
    } catch {
      throw new SettingFault('must hold a private key in PEM without a passphrase')
    }
    return new Secret(pem)
  })
}

/** The path of a file that can be read now, and is read again whenever its content is needed. */
export function readableFile(name: string, { help }: Options): Setting<string | undefined> {
  return { name, help, secret: false, fallback: { value: undefined }, parse: (path) => (read(path), path) }
}

/** Each certificate of a PEM text. */
export const certificatesIn = (pem: string): string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

const pemOf = (raw: string): string => (raw.includes('-----BEGIN ') ? raw : read(raw))

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    throw new SettingFault(`must be the path of a file that this process can read (${code})`)
  }
}
