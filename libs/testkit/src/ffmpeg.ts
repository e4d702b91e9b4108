import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { findCommand } from './find-command.ts'

const require = createRequire(import.meta.url)

/** Path of an ffmpeg: `FFMPEG_PATH`, else the one of ffmpeg-static, on PATH, of @ffmpeg-installer (from 2018). */
export function findFfmpeg(): string {
  return find('FFMPEG_PATH', [() => require('ffmpeg-static') as string | null, () => findCommand(['ffmpeg']), () => (require('@ffmpeg-installer/ffmpeg') as { path: string }).path])
}

/** Path of an ffprobe: `FFPROBE_PATH`, else on PATH, else the one of @ffprobe-installer. */
export function findFfprobe(): string {
  return find('FFPROBE_PATH', [() => findCommand(['ffprobe']), () => (require('@ffprobe-installer/ffprobe') as { path: string }).path])
}

function find(variable: string, places: (() => string | null | undefined)[]): string {
  const named = process.env[variable]
  if (named) {
    if (!existsSync(named)) throw new Error(`${variable} is ${named}, which does not exist`)
    return named
  }
  for (const place of places) {
    const path = tryPlace(place)
    if (path && existsSync(path)) return path
  }
  throw new Error(`none found: install ffmpeg or set ${variable}`)
}

/** These packages are optional or fail to load where they carry no binary: then the next place is tried. */
function tryPlace(place: () => string | null | undefined): string | null | undefined {
  try {
    return place()
  } catch {
    return undefined
  }
}
