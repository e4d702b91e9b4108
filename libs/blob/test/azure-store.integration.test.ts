import { blobConformance } from '../src/conformance.ts'
import { azuriteStore } from './azurite.ts'

blobConformance('azurite', () => azuriteStore())
