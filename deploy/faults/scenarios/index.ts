import type { Scenario } from '../scenario.ts'
import { brokers } from './brokers.ts'
import { clients } from './clients.ts'
import { kills } from './kills.ts'
import { lines } from './lines.ts'
import { pairs } from './pairs.ts'
import { pauses } from './pauses.ts'
import { rolling } from './rolling.ts'
import { storage } from './storage.ts'

export const SCENARIOS: readonly Scenario[] = [...clients, ...kills, ...pauses, ...lines, ...storage, ...pairs, ...rolling, ...brokers]
