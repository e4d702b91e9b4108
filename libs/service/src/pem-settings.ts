import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type Setting, SettingFault } from './settings.ts'

interface Options {
  /** What the setting is for, as an operator would ask; printed with every fault. */
  help: string
}

/** PEM that was given as such, or that a file holds, which is replaced when a certificate is renewed. Neither is printed. */
export class Pem {
  readonly #read: () => string
  readonly #initial: string

  /** @param raw PEM, or the path of a file @param check throws a `SettingFault` for what does not fit */
  constructor(raw: string, check: (pem: string) => void) {
    this.#read = () => {
      const pem = raw.includes('-----BEGIN ') ? raw : read(raw)
      check(pem)
      return pem
    }
    this.#initial = this.#read()
  }

  /** As it was at the start. */
  get initial(): string {
    return this.#initial
  }

  /** As it is now. Throws a `SettingFault` where the file cannot be read or holds something else. */
  current(): string {
    return this.#read()
  }
}

/** Values are never printed: a key may have come into the wrong variable. */
const optional = (name: string, { help }: Options, check: (pem: string) => void): Setting<Pem | undefined> => ({
  name,
  help,
  secret: true,
  fallback: { value: undefined },
  parse: (raw) => new Pem(raw, check),
})

/** One or more X.509 certificates as PEM, given as such or as the path of a file. */
export function certificates(name: string, options: Options): Setting<Pem | undefined> {
  return optional(name, options, (pem) => {
    const found = certificatesIn(pem)
    if (found.length === 0) throw new SettingFault('must hold a certificate: -----BEGIN CERTIFICATE-----')
    if (!found.every(isCertificate)) throw new SettingFault('must hold certificates in PEM only; one of them cannot be read')
  })
}

/** A private key without a passphrase as PEM, given as such or as the path of a file. */
export function privateKey(name: string, options: Options): Setting<Pem | undefined> {
  return optional(name, options, (pem) => {
    try {
      createPrivateKey(pem)
    } catch {
      throw new SettingFault('must hold a private key in PEM without a passphrase')
    }
  })
}

/** Whether the key is that of the first certificate. */
export function isKeyOf(certificate: string, key: string): boolean {
  const [own = ''] = certificatesIn(certificate)
  return new X509Certificate(own).checkPrivateKey(createPrivateKey(key))
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

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException
    throw new SettingFault(`must be the path of a file that this process can read (${code})`)
  }
}
