import { type ConfigOf, deletionSettings, type Env, kafkaSettings, readEnv, serviceSettings } from '@longtake/service'

const settings = {
  ...serviceSettings('completeness', { healthPort: 9103 }),
  ...kafkaSettings,
  ...deletionSettings,
}
export type Config = ConfigOf<typeof settings>
export const readConfig = (env: Env): Config => readEnv(env, settings)
