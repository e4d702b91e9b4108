import { BLOBS } from '@longtake/contracts'
import type { Fault } from './plan.ts'
import type { World } from './world/world.ts'

type Harming = Extract<Fault, { do: 'lease-file' | 'archive-file' | 'remove-file' | 'damage-file' | 'damage-pending' | 'damage-checkpoint' }>

/** Metadata of a file: the name of its newest checkpoint. */
const CHECKPOINT = 'checkpoint'

/**
 * Lets something happen to one blob of a session that is chosen by chance, and tells the model. All of it is legal behaviour of
 * Azure: a lease refuses changes with 412 (Lease Blob), a blob in the archive tier is neither read nor changed and can be
 * deleted (Set Blob Tier), and whoever has the rights may delete it (Delete Blob). Bits that decay are not promised by anybody; checksums
 * are there to find them. A digest that does not fit on the way (400 Md5Mismatch) is retried by the adapter and reaches no service.
 */
export async function harm(world: World, fault: Harming): Promise<void> {
  const { time, plan } = world
  // As soon as there is such a blob.
  const isDone = await tryToHarm(world, fault)
  if (!isDone && time.now + TRIES_AGAIN_MS < plan.quietAt) time.after(TRIES_AGAIN_MS, () => void harm(world, fault))
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
      // Of a long file finalizer reads only some blocks.
      if (plan.quietAt > KEPT_MS) return true
      model.harmed(id)
      damage(file)
      return true
    case 'damage-checkpoint': {
      const newest = blobs.find(({ name }) => name === file.metadata[CHECKPOINT])
      // Without an earlier one there is nothing that it could be restored from.
      const [track, number] = [file.name.slice(0, file.name.lastIndexOf('/')), file.name.slice(file.name.lastIndexOf('/') + 1)]
      const place = `${track}/checkpoints/${number}/`
      const numberOf = ({ name }: { name: string }): number => parseInt(name.slice(place.length), 10)
      const earlier = blobs.filter((blob) => blob.name.startsWith(place) && newest !== undefined && numberOf(blob) < numberOf(newest))
      if (newest === undefined || earlier.length === 0) return false
      // What it held is read again from Kafka, which keeps it for an hour.
      if (plan.quietAt > KEPT_MS) model.harmed(id)
      damage(newest)
      return true
    }
    default:
      return fault.do satisfies never
  }
}

const TRIES_AGAIN_MS = 700
/** `LONGTAKE_CHUNKS_KEEP`, with room for what comes to its end after the last fault. */
const KEPT_MS = 40 * 60_000
const FILE = /^[^/]+\/[^/]+\/\d+$/
