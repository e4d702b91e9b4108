import { runService } from '@longtake/service'
import { readConfig } from './config.ts'

await runService('finalizer', readConfig, () => import('./service.ts'))
