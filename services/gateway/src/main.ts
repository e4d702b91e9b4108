import { runService } from '@longtake/service'
import { readConfig } from './config.ts'

await runService('gateway', readConfig, () => import('./service.ts'))
