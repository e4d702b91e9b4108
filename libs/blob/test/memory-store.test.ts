import { blobConformance } from '../src/conformance.ts'
import { MemoryBlobStore } from '../src/index.ts'

blobConformance('memory', async () => new MemoryBlobStore())
