import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { withoutNewerGlibc } from './elf-glibc.ts'
import { SetupError } from './setup-error.ts'

// The files of uWebSockets.js 20.57.0 for Node 24 on which the change was tried; another file is left alone.
const KNOWN = new Map([
  ['98128405dba2fb608448e921a979530f70c946a2cc9889c15f2fa70c2d00ab05', 'linux x64'],
  ['88618b30ddf6b2b62310db89f40a701616676352aac5e0f6184dd8ef876199ce', 'linux arm64'],
])
const NEEDED_BY_FILE = 38
const NEEDED_AFTER_CHANGE = 36
const WAY_OUT = 'use the container image (deploy/Dockerfile) or a system with glibc 2.38 (Debian 13, Ubuntu 24.04)'

/** The file of the uWebSockets.js package that this Node loads. */
export function uwsBinary(): string {
  const directory = dirname(createRequire(new URL('../../services/gateway/src/uws.ts', import.meta.url)).resolve('uWebSockets.js'))
  return join(directory, `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`)
}

/** Where the changed copy lies, and the gateway looks for it: beside the original, so that an update drops both. */
export function uwsCopy(binary: string): string {
  return binary.replace(/\.node$/, '.older-glibc.node')
}

/** 36 for glibc 2.36; undefined where the C library is another one (musl). */
function glibcMinor(): number | undefined {
  // Otherwise the report looks up the names of all open connections first.
  Object.assign(process.report, { excludeNetwork: true })
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  const minor = report.header.glibcVersionRuntime?.split('.')[1]
  return minor === undefined ? undefined : Number(minor)
}

/**
 * Makes uWebSockets.js loadable on Linux with glibc 2.36 or 2.37: its binary asks for 2.38 only because of three
 * C23 twins of old functions, so a copy of it is made that asks for the old ones. Elsewhere it does nothing, or
 * fails with a {@link SetupError} where uWebSockets.js cannot work at all.
 */
export function prepareUws(log: (line: string) => void): void {
  if (process.platform !== 'linux') return
  const minor = glibcMinor()
  if (minor === undefined) throw new SetupError(`uWebSockets.js has no binary for musl (Alpine): ${WAY_OUT}.`)
  if (minor >= NEEDED_BY_FILE) return
  if (minor < NEEDED_AFTER_CHANGE) throw new SetupError(`uWebSockets.js needs glibc 2.${NEEDED_AFTER_CHANGE} or later, this is 2.${minor}: ${WAY_OUT}.`)
  const binary = uwsBinary()
  const copy = uwsCopy(binary)
  if (existsSync(copy)) return
  const original = readFileSync(binary)
  const digest = createHash('sha256').update(original).digest('hex')
  if (!KNOWN.has(digest))
    throw new SetupError(`uWebSockets.js needs glibc 2.38, this is 2.${minor}, and ${basename(binary)} is not a version known to work without: ${WAY_OUT}.`)
  const temporary = `${copy}.${randomUUID()}`
  writeFileSync(temporary, withoutNewerGlibc(original))
  renameSync(temporary, copy)
  log(`uWebSockets.js asks for glibc 2.38, this is 2.${minor}: made a copy that does without it, ${copy}`)
}

if (import.meta.main) prepareUws((line) => console.log(line))
