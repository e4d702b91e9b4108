import { MAX_MESSAGE_BYTES, PRODUCTION_PARTITIONS, TOPICS, type TopicSpec } from '@longtake/contracts'
import type { Admin } from 'kafkajs'
import { withAdmin } from './admin.ts'
import { backoffMs, pause } from './backoff.ts'
import { KafkaError } from './errors.ts'
import { ConfigResourceTypes, type KafkaConfig } from './kafkajs.ts'

const KNOWN_AFTER_MS = 10_000

export interface TopicLayout {
  /** The same for all topics. Default: what the topics have that exist, else `newPartitions`. */
  partitions?: number
  /** Where no topic exists yet. Default {@link PRODUCTION_PARTITIONS}. */
  newPartitions?: number
  /** Default 3; 1 only where one broker is all there is. */
  replicationFactor?: number
  /** Default 2, or 1 with a replication factor below 3. */
  minInsyncReplicas?: number
  /** Topics whose retention `adjustTopics` may shorten, because it was set on purpose; of the others it only grows. */
  mayShorten?: ReadonlySet<string>
  /**
   * Topics whose size `adjustTopics` may limit to what their spec says; of the others a limit only grows, and a larger one
   * than the spec's, or none, is no difference.
   */
  mayLimit?: ReadonlySet<string>
  /** Segments no larger than this, where a topic's own limit is not smaller anyway. Default: none. */
  maxSegmentBytes?: number
}

/**
 * Creates the topics that are missing and checks all of them: partition count, replication, in-sync replicas, size,
 * cleanup, retention, segments, compression. Differences are reported all together as KAFKA_TOPICS_DIFFER with the way
 * out, and never repaired here: another partition count would split sessions, a shorter retention lose data.
 */
export async function ensureTopics(
  kafka: KafkaConfig,
  layout: TopicLayout = {},
  specs: readonly TopicSpec[] = Object.values(TOPICS),
): Promise<void> {
  await withAdmin(kafka, 'preparing topics', async (admin) => {
    const existing = new Set(await admin.listTopics())
    const missing = specs.filter(({ name }) => !existing.has(name))
    const present = specs.filter(({ name }) => existing.has(name))
    const { replicationFactor = 3 } = layout
    const partitions = layout.partitions ?? (await countOf(admin, present[0]?.name)) ?? layout.newPartitions ?? PRODUCTION_PARTITIONS
    if (missing.length > 0) {
      await admin.createTopics({
        // kafkajs gives up when a broker does not know a new topic yet: `describe` waits for that, and for leaders.
        waitForLeaders: false,
        topics: missing.map((spec) => ({
          topic: spec.name,
          numPartitions: partitions,
          replicationFactor,
          configEntries: Object.entries(settingsOf(spec, layout, partitions)).map(([name, value]) => ({ name, value })),
        })),
      })
    }
    const found = await describe(admin, specs.map(({ name }) => name))
    const differences = specs.flatMap((spec) => {
      const replicas = found.get(spec.name)?.replicas ?? []
      return [
        ...difference(spec.name, 'partitions', partitions, replicas.length),
        ...difference(spec.name, 'replication factor', replicationFactor, Math.min(...replicas)),
        ...settingDifferences(spec, layout, found.get(spec.name)).map(({ line }) => line),
      ]
    })
    if (differences.length === 0) return
    const ways = [
      ...(differences.some((line) => ADJUSTABLE.some((name) => line.includes(`: ${name} is`))) ? [ADJUST_WAY_OUT] : []),
      ...(differences.some((line) => line.includes(': partitions is')) ? [PARTITIONS_WAY_OUT] : []),
    ]
    const lines = [...differences.map((line) => `  ${line}`), ...ways]
    throw new KafkaError('KAFKA_TOPICS_DIFFER', `topics exist with other settings:\n${lines.join('\n')}`)
  })
}

/**
 * Brings topics that an earlier version created to the retention and segments of this one, where no record can be lost
 * by that: retention only ever grows, except where `mayShorten` and `mayLimit` say so, and the size of segments deletes
 * nothing. Resolves with a line for each change.
 */
export async function adjustTopics(
  kafka: KafkaConfig,
  layout: TopicLayout = {},
  specs: readonly TopicSpec[] = Object.values(TOPICS),
): Promise<string[]> {
  return withAdmin(kafka, 'adjusting topics', async (admin) => {
    const existing = new Set(await admin.listTopics())
    const present = specs.filter(({ name }) => existing.has(name))
    if (present.length === 0) return []
    const found = await describe(admin, present.map(({ name }) => name))
    const changes = present.map((spec) => ({
      name: spec.name,
      own: found.get(spec.name)?.own ?? new Map<string, string>(),
      changed: settingDifferences(spec, layout, found.get(spec.name)).filter(({ name, needed, is }) => isAdjustable(name, needed, is, mayReduce(spec, layout))),
    }))
    const resources = changes
      .filter(({ changed }) => changed.length > 0)
      .map(({ name, own, changed }) => ({
        type: ConfigResourceTypes.TOPIC,
        name,
        // AlterConfigs replaces all settings of the topic (only KIP-339 alters single ones, which kafkajs lacks).
        configEntries: [...new Map([...own, ...changed.map((of) => [of.name, of.needed] as const)])].map(([key, value]) => ({ name: key, value })),
      }))
    if (resources.length > 0) await admin.alterConfigs({ validateOnly: false, resources })
    return changes.flatMap(({ name, changed }) => changed.map((of) => `${name}: ${of.name} changed from ${of.is} to ${of.needed}`))
  })
}

/** Settings that `adjustTopics` may change. */
const ADJUSTABLE = ['retention.ms', 'retention.bytes', 'segment.bytes', 'segment.ms', 'max.compaction.lag.ms']
const ADJUST_WAY_OUT = `  ${ADJUSTABLE.join(', ')}: run deploy/provision.ts (npm start does), which changes them where no record can be lost by that; or use
  kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name … --add-config name=value`
const PARTITIONS_WAY_OUT = `  A partition count never changes, as the records of a session would be split. Unset LONGTAKE_TOPIC_PARTITIONS to keep it. To have another
  one: stop the gateways, wait until all groups have no lag, and create new topics on another cluster; see deploy/README.md.`

/** The settings of a topic that may be reduced on purpose, so that records are deleted sooner. */
function mayReduce({ name }: TopicSpec, { mayShorten, mayLimit }: TopicLayout): readonly string[] {
  return [...(mayShorten?.has(name) ? ['retention.ms'] : []), ...(mayLimit?.has(name) ? ['retention.bytes'] : [])]
}

function isAdjustable(name: string, needed: string, is: string | undefined, reducible: readonly string[]): boolean {
  if (!ADJUSTABLE.includes(name) || is === undefined) return false
  if (name.startsWith('segment.') || name === 'max.compaction.lag.ms' || reducible.includes(name)) return true
  return needed === '-1' || (is !== '-1' && Number(needed) > Number(is))
}

async function countOf(admin: Admin, topic: string | undefined): Promise<number | undefined> {
  return topic === undefined ? undefined : (await describe(admin, [topic])).get(topic)?.replicas.length
}

/** Whether compaction leaves holes in the topic; undefined for one that is not ours. */
export function isCompacted(topic: string): boolean | undefined {
  const spec = Object.values<TopicSpec>(TOPICS).find(({ name }) => name === topic)
  return spec === undefined ? undefined : spec.cleanup === 'compact'
}

interface Described {
  /** How many replicas each partition has. */
  readonly replicas: number[]
  readonly settings: Map<string, string>
  /** Those of `settings` that were set for this topic, and not by defaults. */
  readonly own: Map<string, string>
}

/** What another process has just created, not every broker knows at once: asked again for a while. */
async function describe(admin: Admin, names: string[]): Promise<Map<string, Described>> {
  const deadline = performance.now() + KNOWN_AFTER_MS
  for (let failures = 1; ; failures++) {
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: names })
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: names.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
      })
      return new Map(
        topics.map(({ name, partitions }) => {
          const entries = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? []
          const own = entries.filter(({ configSource }) => `${configSource}` === OF_TOPIC)
          const pairs = (of: typeof entries) => new Map(of.map(({ configName, configValue }) => [configName, configValue]))
          return [name, { replicas: partitions.map(({ replicas }) => replicas.length), settings: pairs(entries), own: pairs(own) }]
        }),
      )
    } catch (error) {
      const type = (error as { type?: string }).type
      const isYoung = type === 'UNKNOWN_TOPIC_OR_PARTITION' || type === 'LEADER_NOT_AVAILABLE'
      if (!isYoung || performance.now() > deadline) throw error
      await pause(backoffMs(failures, 50, 1000))
    }
  }
}

/** DYNAMIC_TOPIC_CONFIG of the protocol's DescribeConfigs. */
const OF_TOPIC = '1'

/** @param partitions of the topic, to which Kafka's `retention.bytes` belongs singly */
function settingsOf(spec: TopicSpec, layout: TopicLayout, partitions: number): Record<string, string> {
  const { segmentBytes, segmentMs, maxCompactionLagMs, retentionBytes } = spec
  const { replicationFactor = 3, minInsyncReplicas, maxSegmentBytes = Infinity } = layout
  return {
    'cleanup.policy': spec.cleanup,
    'retention.ms': String(spec.retentionMs),
    'retention.bytes': retentionBytes === undefined ? '-1' : String(Math.ceil(retentionBytes / partitions)),
    ...(segmentBytes === undefined ? {} : { 'segment.bytes': String(Math.min(segmentBytes, maxSegmentBytes)) }),
    ...(segmentMs === undefined ? {} : { 'segment.ms': String(segmentMs) }),
    ...(maxCompactionLagMs === undefined ? {} : { 'max.compaction.lag.ms': String(maxCompactionLagMs) }),
    'max.message.bytes': String(MAX_MESSAGE_BYTES),
    'min.insync.replicas': String(minInsyncReplicas ?? (replicationFactor >= 3 ? 2 : 1)),
    // Video does not compress; whatever producers do, brokers leave it alone.
    'compression.type': 'producer',
    // An acknowledgement by an out-of-sync leader would be worth nothing.
    'unclean.leader.election.enable': 'false',
  }
}

function settingDifferences(spec: TopicSpec, layout: TopicLayout, found: Described | undefined) {
  const mayLimit = mayReduce(spec, layout).includes('retention.bytes')
  return Object.entries(settingsOf(spec, layout, found?.replicas.length || 1)).flatMap(([name, needed]) => {
    const is = found?.settings.get(name)
    if (name === 'retention.bytes' && !mayLimit && (is === '-1' || Number(is) >= Number(needed)) && needed !== '-1') return []
    // Smaller segments are as good.
    if (name.startsWith('segment.') && Number(is) <= Number(needed)) return []
    return difference(spec.name, name, needed, is).map((line) => ({ name, needed, is, line }))
  })
}

function difference(topic: string, what: string, needed: string | number, found: string | number | undefined): string[] {
  return String(needed) === String(found) ? [] : [`${topic}: ${what} is ${found ?? 'unknown'}, needed ${needed}`]
}
