import { runService } from '@longtake/service'
import { readConfig } from './config.ts'

await runService('block-writer', readConfig, () => import('./service.ts'))
