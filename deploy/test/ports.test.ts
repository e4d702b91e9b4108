import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort, isFree } from '../local/ports.ts'

const PORTS = fileURLToPath(new URL('../local/ports.ts', import.meta.url))
const ask = (times: number): Promise<number[]> => Promise.all(Array.from({ length: times }, freePort))

test('nobody is given a port twice, nor one that another process was given', async () => {
  const mine = [...(await ask(150)), ...(await ask(50))]
  assert.equal(new Set(mine).size, mine.length)
  const script = `const { freePort } = await import(${JSON.stringify(PORTS)}); const ports = []; while (ports.length < 150) ports.push(await freePort()); console.log(JSON.stringify(ports))`
  const others = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', script])
      return JSON.parse(stdout) as number[]
    }),
  )
  assert.deepEqual(others.map(({ length }) => length), [150, 150, 150])
  assert.deepEqual(others.flat().filter((port) => mine.includes(port)), [])
  assert.ok(await isFree(mine[0]!))
})
