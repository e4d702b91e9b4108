import { runService } from '@longtake/service'
import { readConfig } from './config.ts'

await runService('query', readConfig, () => import('./service.ts'))
