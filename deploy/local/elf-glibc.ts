// Reads and changes the few tables of a 64-bit little-endian ELF file that tell the loader which versions of libc's
// functions are wanted. Layouts: ELF gABI, "Dynamic Section", and the LSB's "Symbol Versioning".

const VERSION = 'GLIBC_2.38'
const PREFIX = '__isoc23_'
const PT_LOAD = 1
const PT_DYNAMIC = 2
const DT_STRTAB = 5
const DT_SYMTAB = 6
const DT_VERSYM = 0x6fff_fff0
const DT_VERNEED = 0x6fff_fffe
const DT_VERNEEDNUM = 0x6fff_ffff
const SYMBOL_BYTES = 24
/** What every libc of the platform has: the first version for x64, then for arm64. */
const BASE_VERSIONS = ['GLIBC_2.2.5', 'GLIBC_2.17']

interface Segment {
  type: number
  offset: number
  address: number
  fileSize: number
}

interface VersionNeed {
  /** Where the record that points to this one keeps its pointer, and how: relative to `from`. */
  entry: number
  previous: { field: number; from: number }
  name: string
  index: number
  next: number
}

/**
 * A copy of the shared library that takes `strtol` and the like instead of their C23 twins `__isoc23_strtol` … and
 * so no longer asks for glibc 2.38. Fails if anything else in it does.
 */
export function withoutNewerGlibc(original: Buffer): Buffer {
  if (original.readUInt32BE(0) !== 0x7f45_4c46 || original[4] !== 2 || original[5] !== 1) {
    throw new Error('not a 64-bit little-endian ELF file')
  }
  const file = Buffer.from(original)
  const segments = readSegments(file)
  const dynamic = readDynamic(file, segments)
  const locate = (tag: number): number => toOffset(segments, required(dynamic, tag))
  const strings = locate(DT_STRTAB)
  const symbols = locate(DT_SYMTAB)
  const symbolVersions = locate(DT_VERSYM)

  const libc = readLibcNeeds(file, strings, locate(DT_VERNEED), required(dynamic, DT_VERNEEDNUM))
  const newer = libc.needs.find((need) => need.name === VERSION)
  const base = BASE_VERSIONS.map((name) => libc.needs.find((need) => need.name === name)).find((need) => need !== undefined)
  if (!newer) throw new Error(`the file does not ask for ${VERSION}`)
  if (!base) throw new Error(`the file asks for none of ${BASE_VERSIONS.join(', ')}`)

  // The table of symbols carries no length; its versions do: they end where the version needs begin or earlier.
  const count = Math.floor((locate(DT_VERNEED) - symbolVersions) / 2)
  for (let index = 0; index < count; index += 1) {
    const versionAt = symbolVersions + index * 2
    if (file.readUInt16LE(versionAt) !== newer.index) continue
    const nameAt = symbols + index * SYMBOL_BYTES
    const name = readString(file, strings + file.readUInt32LE(nameAt))
    if (!name.startsWith(PREFIX)) throw new Error(`${name} has no older twin`)
    // The old name is the end of the new one's string.
    file.writeUInt32LE(file.readUInt32LE(nameAt) + PREFIX.length, nameAt)
    file.writeUInt16LE(base.index, versionAt)
  }
  unlink(file, libc.record, newer)
  return file
}

function readSegments(file: Buffer): Segment[] {
  const table = Number(file.readBigUInt64LE(32))
  const size = file.readUInt16LE(54)
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = table + index * size
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: Number(file.readBigUInt64LE(at + 16)),
      fileSize: Number(file.readBigUInt64LE(at + 32)),
    }
  })
}

function readDynamic(file: Buffer, segments: Segment[]): Map<number, number> {
  const segment = segments.find((one) => one.type === PT_DYNAMIC)
  if (!segment) throw new Error('not a dynamic library')
  const entries = new Map<number, number>()
  for (let at = segment.offset; at < segment.offset + segment.fileSize; at += 16) {
    entries.set(Number(file.readBigInt64LE(at)), Number(file.readBigUInt64LE(at + 8)))
  }
  return entries
}

function required(dynamic: Map<number, number>, tag: number): number {
  const value = dynamic.get(tag)
  if (value === undefined) throw new Error(`the dynamic section lacks tag 0x${tag.toString(16)}`)
  return value
}

function toOffset(segments: Segment[], address: number): number {
  const segment = segments.find((one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.fileSize)
  if (!segment) throw new Error(`address 0x${address.toString(16)} is not in the file`)
  return address - segment.address + segment.offset
}

function readString(file: Buffer, at: number): string {
  return file.toString('latin1', at, file.indexOf(0, at))
}

/** The versions wanted from libc.so.6: where its record is and its list. */
function readLibcNeeds(file: Buffer, strings: number, start: number, records: number): { record: number; needs: VersionNeed[] } {
  let record = start
  for (let count = 0; count < records; count += 1) {
    if (readString(file, strings + file.readUInt32LE(record + 4)) === 'libc.so.6') {
      return { record, needs: readNeeds(file, strings, record) }
    }
    record += file.readUInt32LE(record + 12)
  }
  throw new Error('the file does not use libc.so.6')
}

function readNeeds(file: Buffer, strings: number, record: number): VersionNeed[] {
  const needs: VersionNeed[] = []
  let previous = { field: record + 8, from: record }
  for (let count = file.readUInt16LE(record + 2); count > 0; count -= 1) {
    const entry = previous.from + file.readUInt32LE(previous.field)
    const next = file.readUInt32LE(entry + 12)
    needs.push({ entry, previous, name: readString(file, strings + file.readUInt32LE(entry + 8)), index: file.readUInt16LE(entry + 6), next })
    previous = { field: entry + 12, from: entry }
  }
  return needs
}

function unlink(file: Buffer, record: number, need: VersionNeed): void {
  const distance = need.next === 0 ? 0 : need.entry + need.next - need.previous.from
  file.writeUInt32LE(distance, need.previous.field)
  file.writeUInt16LE(file.readUInt16LE(record + 2) - 1, record + 2)
}
