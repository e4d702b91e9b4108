import { runService } from '@longtake/service'
import { readConfig } from './config.ts'

await runService('completeness', readConfig, () => import('./service.ts'))
