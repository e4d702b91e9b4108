import { BLOBS } from '@longtake/contracts'
import type { Fault } from './plan.ts'
import type { World } from './world/world.ts'

type Harming = Extract<Fault, { do: 'lease-file' | 'archive-file' | 'remove-file' | 'damage-file' | 'damage-pending' | 'damage-checkpoint' }>

/** Metadata of a file: the name of its newest checkpoint. */
const CHECKPOINT = 'checkpoint'

/**
 * Applies a fault to one randomly chosen blob of a session and reports it to the model. Azure behaves in all of these
 * ways: a lease refuses changes with 412 (Lease Blob), a blob in the archive tier can be deleted but neither read nor
 * changed (Set Blob Tier), and anybody with the rights may delete a blob (Delete Blob). Bits that change in storage are
 * rare; checksums exist to find them. A digest that does not match in transit (400 Md5Mismatch) is retried by the
 * adapter and reaches no service.
 */
export async function harm(world: World, fault: Harming): Promise<void> {
  const { time, plan } = world
  // The session may have no such blob yet.
  const isDone = await tryToHarm(world, fault)
  if (!isDone && time.now + RETRY_MS < plan.quietAt) time.after(RETRY_MS, () => void harm(world, fault))
}

/** @returns false where there is no such blob yet */
async function tryToHarm({ storage, model, random, trace, plan }: World, fault: Harming): Promise<boolean> {
  const { id } = random.pick(plan.sessions)
  if (model.isFinalized(id)) return false
  const blobs = await Array.fromAsync(storage.blobs.list(BLOBS.session(id)))
  const files = blobs.filter(({ name, bytes }) => FILE.test(name) && bytes > 0)
  const line = (what: string): void => trace.line('fault', what)
  const damage = ({ name, bytes }: { name: string; bytes: number }): void => {
    line(`a bit of ${name} changes`)
    storage.blobs.decay(name, random.between(0, bytes - 1))
  }
  if (fault.do === 'damage-pending') {
    const pending = blobs.filter(({ name, bytes }) => name.includes('/pending/') && bytes > 0)
    if (pending.length === 0) return false
    model.harmed(id)
    damage(random.pick(pending))
    return true
  }
  if (files.length === 0) return false
  const file = random.pick(files)
  switch (fault.do) {
    case 'lease-file':
      line(`a lease on ${file.name} for ${fault.forMs} ms`)
      storage.lease(file.name, fault.forMs)
      return true
    case 'archive-file':
      line(`${file.name} is archived`)
      model.harmed(id)
      storage.archive(file.name)
      return true
    case 'remove-file':
      line(`${file.name} is deleted by somebody`)
      model.harmed(id)
      await storage.blobs.delete(file.name, { includeSnapshots: true })
      return true
    case 'damage-file':
      // Finalizer reads only some blocks of a long file, so the damage may stay undetected.
      if (plan.quietAt > KEPT_MS) return true
      model.harmed(id)
      damage(file)
      return true
    case 'damage-checkpoint': {
      const newest = blobs.find(({ name }) => name === file.metadata[CHECKPOINT])
      // Without an earlier checkpoint the track could not be restored.
      const [track, number] = [file.name.slice(0, file.name.lastIndexOf('/')), file.name.slice(file.name.lastIndexOf('/') + 1)]
      const place = `${track}/checkpoints/${number}/`
      const numberOf = ({ name }: { name: string }): number => parseInt(name.slice(place.length), 10)
      const earlier = blobs.filter((blob) => blob.name.startsWith(place) && newest !== undefined && numberOf(blob) < numberOf(newest))
      if (newest === undefined || earlier.length === 0) return false
      // Its records are read again from Kafka, which keeps them for an hour.
      if (plan.quietAt > KEPT_MS) model.harmed(id)
      damage(newest)
      return true
    }
    default:
      return fault.do satisfies never
  }
}

const RETRY_MS = 700
/** Less than `LONGTAKE_CHUNKS_KEEP`, since sessions still end after the last fault. */
const KEPT_MS = 40 * 60_000
const FILE = /^[^/]+\/[^/]+\/\d+$/
