// Runs a script of this folder with the project's own Node: `node bootstrap.mjs start.ts [arguments]`. This file is
// plain JavaScript for Node 20 and needs no packages, since on a fresh clone there are none: it installs them.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { takePidLock } from './pid-lock.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = resolve(here, '..', '..')
const OLDEST_NODE = 20
/** From here on Node runs TypeScript as it is. */
const RUNS_TYPESCRIPT = 24

function fail(line) {
  console.error(`longtake: ${line}`)
  process.exit(1)
}

function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages
  } catch {
    return undefined
  }
}

/** Whether node_modules holds what package-lock.json says. Optional packages may be missing (no network, other system). */
function isInstalled() {
  const wanted = readLock(join(root, 'package-lock.json'))
  // npm writes this list when it has finished.
  const present = readLock(join(root, 'node_modules', '.package-lock.json'))
  if (!wanted) fail('package-lock.json is missing or broken: restore it with `git checkout package-lock.json`.')
  if (!present) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const found = present[path]
    if (!found) return entry.optional === true || entry.devOptional === true
    return found.version === entry.version && found.integrity === entry.integrity
  })
}

/** Two installs at once would destroy each other's work. */
function installAlone() {
  const lock = takePidLock(join(root, '.data', 'installing.pid'), 'bootstrap.mjs')
  if (lock.owner !== undefined) {
    fail(`process ${lock.owner} is installing the packages of this folder: wait until it is done and try again.`)
  }
  const problem = install()
  lock.release()
  if (problem) fail(problem)
}

/** @returns {string | undefined} what went wrong, in one line */
function install() {
  console.log('longtake: installing packages (npm ci), this takes a minute or so …')
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm']
  const result = spawnSync(npm[0], [...npm.slice(1), ...args], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 })
  // Ctrl-C in the terminal has reached npm as well.
  if (result.signal) process.exit(128 + (constants.signals[result.signal] ?? 0))
  if (result.error) return `npm could not be run: ${result.error.message}; install Node with npm.`
  if (result.status === 0) return undefined
  const log = join(root, '.data', 'npm-ci.log')
  writeFileSync(log, `${result.stdout}\n${result.stderr}`)
  const errors = result.stderr.split('\n').filter((line) => /^npm err/i.test(line))
  const reason = errors.find((line) => !/^npm err\S* (code|errno|syscall|path|command)\b/i.test(line)) ?? errors[0]
  return `\`npm ci\` failed (exit code ${result.status}): ${reason?.replace(/^npm err\S*\s*/i, '') ?? 'no reason given'} Check the network and try again; all it said is in ${log}.`
}

/** The Node that runs the project: the package `node`, else this one if it can. */
function findRuntime() {
  const packaged = join(root, 'node_modules', '.bin', 'node')
  if (existsSync(packaged)) return packaged
  if (Number(process.versions.node.split('.')[0]) >= RUNS_TYPESCRIPT) return process.execPath
  return fail(
    `the npm package \`node\` has not installed its binary (are install scripts switched off?): run \`npm rebuild node\` or use Node ${RUNS_TYPESCRIPT}.`,
  )
}

if (!(Number(process.versions.node.split('.')[0]) >= OLDEST_NODE)) {
  fail(`this is Node ${process.versions.node}; install Node ${OLDEST_NODE} or later.`)
}
const [script, ...args] = process.argv.slice(2)
if (!script) fail('say which script of deploy/local to run.')
if (!isInstalled()) installAlone()

/** Node keeps there what it has compiled, so that no process of this checkout compiles the same source again. */
const compiled = join(root, 'node_modules', '.cache', 'compiled')

// The channel tells the script when we are gone, however that came about.
// kafkajs computes negative timeouts, which newer Nodes remark on.
const child = spawn(findRuntime(), ['--disable-warning=TimeoutNegativeWarning', '--disable-warning=ExperimentalWarning', resolve(here, script), ...args], {
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: { NODE_COMPILE_CACHE: compiled, ...process.env },
})
child.on('error', (error) => fail(`${script} could not be started: ${error.message}`))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  // The scripts take a repeated signal for one: a Ctrl-C reaches them from the terminal as well.
  process.on(signal, () => child.kill(signal))
}
child.on('exit', (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)))
