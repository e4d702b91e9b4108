import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const LICENCE_FILE = /^(licen[cs]e|copying|notice)(\.(md|txt))?$/i
const PACKAGE_FOLDER = /^.*[/\\]node_modules[/\\](?:@[^/\\]+[/\\])?[^/\\]+/

interface Manifest {
  name: string
  version: string
  license?: string
}

/**
 * Name, version and licence text of every installed package that the files come from, as most licences require of whoever distributes a copy.
 * @param files absolute paths; those outside of `node_modules` are our own
 * @throws when a package has no licence or no licence file: nobody may distribute that
 */
export async function thirdPartyNotices(files: readonly string[]): Promise<string> {
  const folders = new Set(files.flatMap((file) => PACKAGE_FOLDER.exec(file)?.[0] ?? []))
  const notices = await Promise.all([...folders].toSorted().map(noticeOf))
  return `This software contains the following packages.\n\n${notices.join('\n')}`
}

async function noticeOf(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
  const files = (await readdir(folder)).filter((file) => LICENCE_FILE.test(file)).toSorted()
  if (license === undefined || files.length === 0) throw new Error(`${name} has no licence, or no licence file: it must not be bundled`)
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
  return `${'─'.repeat(80)}\n${name} ${version} (${license})\n\n${texts.map((text) => text.trim()).join('\n\n')}\n`
}
