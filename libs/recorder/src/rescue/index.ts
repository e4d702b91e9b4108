export { download, rescue, type RescuedFile, type RescueOptions } from './rescue.ts'
