// The service as a process of its own, for a test that kills it. Its one argument is the wiring as JSON.
import type { Wiring } from '../src/service.ts'
import { startService } from './harness.ts'

await startService(JSON.parse(process.argv[2]!) as Wiring)
console.log('started')
