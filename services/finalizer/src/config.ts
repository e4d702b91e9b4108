import { azureSettings, type ConfigOf, type Env, kafkaSettings, readEnv, serviceSettings } from '@longtake/service'

const settings = {
  ...serviceSettings('finalizer', { healthPort: 9104 }),
  ...kafkaSettings,
  ...azureSettings,
}
export type Config = ConfigOf<typeof settings>
export const readConfig = (env: Env): Config => readEnv(env, settings)
