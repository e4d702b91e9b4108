export { keepUp, type KeepUpOptions, type LoadChange } from './keep-up.ts'
