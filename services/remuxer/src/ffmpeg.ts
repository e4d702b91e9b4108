import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { constants as os, setPriority } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LongtakeError } from '@longtake/contracts'
import { redact } from '@longtake/service'

/** Bound of `rendition-failed`'s reason, in characters. */
const MAX_WORDS = 4_000
/** What is kept of ffmpeg's output while it runs. */
const MAX_KEPT = 64 * 1024
/**
 * A third of the weight of another service's session (sched(7): a factor of 1.25 for each step). With much less, ffmpeg
 * would exceed its time limit on a busy machine.
 */
const SESSION_NICE = 5
const AUTOGROUP_RETRY_MS = 150

export interface Run {
  /** Without the leading common options; files are named relative to `cwd`. */
  args: readonly string[]
  cwd: string
  timeLimitMs: number
  /** Ends the run; it then rejects with the signal's reason. */
  signal: AbortSignal
}

export type RunOutcome =
  /** `messages`: the end of what it wrote to stderr. */
  | { outcome: 'done'; messages: string }
  /** `reason`: ffmpeg's last words. What it is about is the input, not this machine: a repetition would end alike. */
  | { outcome: 'failed'; reason: string; isOverTime: boolean }

const require = createRequire(import.meta.url)

/**
 * `FFMPEG_PATH`, else the one of ffmpeg-static, on PATH, of @ffmpeg-installer (of 2018: VP8, VP9, H.264 and Opus are in
 * it).
 */
export function findFfmpeg({ ffmpegPath, searchPath }: { ffmpegPath: string | undefined; searchPath: string }): string {
  if (ffmpegPath !== undefined) {
    if (isExecutable(ffmpegPath)) return ffmpegPath
    throw new LongtakeError('INVALID_CONFIG', `FFMPEG_PATH is ${ffmpegPath}, which is no program`)
  }
  const onPath = (): string | undefined => searchPath.split(delimiter).filter((folder) => folder !== '').map((folder) => join(folder, 'ffmpeg')).find(isExecutable)
  const places = [() => require('ffmpeg-static') as string | null, onPath, () => (require('@ffmpeg-installer/ffmpeg') as { path: string }).path]
  for (const place of places) {
    const path = tryPlace(place)
    if (path && existsSync(path)) return path
  }
  throw new LongtakeError('INVALID_CONFIG', 'there is no ffmpeg: install one, or set FFMPEG_PATH')
}

/** These packages may be absent, and fail to load where they carry no binary: then the next place is tried. */
function tryPlace(place: () => string | null | undefined): string | null | undefined {
  try {
    return place()
  } catch {
    return undefined
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const running = new Set<ChildProcess>()
// Whatever ends this process, its ffmpegs end with it.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * Runs ffmpeg at low priority, without any of this process's environment, reading nothing but local files. Rejects when
 * it cannot be started, or is ended by the signal.
 */
export function runFfmpeg(path: string, { args, cwd, timeLimitMs, signal }: Run): Promise<RunOutcome> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<RunOutcome>()
  const options = ['-hide_banner', '-nostdin', '-v', 'warning', '-y', '-protocol_whitelist', 'file']
  // In a session of its own: see `lowerPriority`.
  const child = spawn(path, [...options, ...args], { cwd, env: {}, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  running.add(child)
  let said = ''
  let overTime = false
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-MAX_KEPT)
  })
  const end = (): void => void child.kill('SIGKILL')
  const timer = setTimeout(() => {
    overTime = true
    end()
  }, timeLimitMs)
  signal.addEventListener('abort', end)
  const settle = (): void => {
    running.delete(child)
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
  child.once('spawn', () => lowerPriority(child))
  child.once('error', (cause) => {
    settle()
    reject(new Error(`ffmpeg could not be started: ${path}`, { cause }))
  })
  child.once('close', (code, killedBy) => {
    settle()
    if (signal.aborted) return reject(signal.reason as Error)
    if (code === 0) return resolve({ outcome: 'done', messages: said })
    const how = overTime ? `ended after ${timeLimitMs / 1000} s, its time limit` : killedBy === null ? `exit code ${code}` : `killed by ${killedBy}`
    resolve({ outcome: 'failed', reason: lastWords(said, how), isOverTime: overTime })
  })
  return promise
}

/**
 * Runs ffmpeg with frames that keep their times. Without it an old one repeats them up to 1,000 times a second, since
 * browsers write no frame rate. The option was renamed in 5.1, and its old name removed later.
 * @param argsFor given the option, which belongs to an output
 */
export async function runWithFrameTimes(
  path: string,
  mode: 'passthrough' | 'vfr',
  run: Omit<Run, 'args'>,
  argsFor: (frameTimes: readonly string[]) => readonly string[],
): Promise<RunOutcome> {
  const outcome = await runFfmpeg(path, { ...run, args: argsFor(['-fps_mode', mode]) })
  if (outcome.outcome === 'done' || !/Unrecognized option 'fps_mode'/.test(outcome.reason)) return outcome
  return runFfmpeg(path, { ...run, args: argsFor(['-vsync', mode]) })
}

/**
 * Gives recording and finalization priority over remuxing on a shared machine. On Linux a nice value counts only among
 * the processes of one session (autogroups, sched(7)): a service in another session would get no more than ffmpeg does.
 * Therefore ffmpeg runs in a session of its own, which has a nice value as well.
 */
function lowerPriority(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  try {
    setPriority(pid, os.priority.PRIORITY_LOW)
  } catch (error) {
    // It has ended already; nothing else is tolerated.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SYSTEM_ERROR') throw error
    return
  }
  void lowerSessionPriority(child, pid)
}

/** Never rejects: a kernel without autogroups has no such file, and a container may not be permitted to write it. */
async function lowerSessionPriority(child: ChildProcess, pid: number): Promise<void> {
  while (running.has(child)) {
    const failure = await writeFile(`/proc/${pid}/autogroup`, String(SESSION_NICE)).then(() => undefined, (error: NodeJS.ErrnoException) => error.code)
    // Without privileges all sessions of a machine together have ten such changes a second.
    if (failure !== 'EAGAIN') return
    await delay(AUTOGROUP_RETRY_MS, undefined, { ref: false })
  }
}

/** The end of what it said, as text that may leave the process. */
export function lastWords(said: string, how: string): string {
  const clean = redact(said)
    .replace(/https?:\/\/\S+/gi, '[address]')
    // Where its parts lie in memory: without it the same failure has the same words.
    .replace(/ @ 0x[0-9a-f]+/gi, '')
    // Carriage returns of progress lines, terminal colours, NUL bytes out of broken files.
    .replace(/\r/g, '\n')
    .replace(/[^\P{C}\n]/gu, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('\n')
  const suffix = `ffmpeg: ${how}`
  if (clean === '') return suffix
  return `${clean.slice(-(MAX_WORDS - suffix.length - 1))}\n${suffix}`
}
