import { runService } from '@longtake/service'
import { readConfig } from './config.ts'

await runService('remuxer', readConfig, () => import('./service.ts'))
