import type { PollingOperation } from '@longtake/contracts'
import type { Logger, Tokens } from '@longtake/service'
import type { TemplatedApp } from 'uWebSockets.js'
import type { PollingConnection } from './polling-connection.ts'
import { PollingRequest, type BodyReader } from './polling-request.ts'
import type { Polling } from './polling.ts'
import { judgeUpgrade } from './upgrade.ts'

interface Dependencies {
  polling: Polling
  tokens: Tokens
  logger: Logger
}

interface Arrived {
  session: string | undefined
  client: string | undefined
  head: Readonly<Record<string, unknown>>
  request: PollingRequest
}

/** Serves the operations of HTTP polling; see `libs/contracts` for their bodies. */
export function routePolling(app: TemplatedApp, dependencies: Dependencies): void {
  const { polling, logger } = dependencies
  const route = (operation: PollingOperation, read: (arrived: Arrived) => BodyReader | undefined): void => {
    app.post(`/v1/ingest/:session/http/${operation}`, (response, asked) => {
      const address = { session: asked.getParameter(0), client: asked.getQuery('client') }
      const request = new PollingRequest(response)
      request.readBody((head) => read({ ...address, head: head as Arrived['head'], request }))
    })
  }
  const opened = (arrived: Arrived): void => {
    open(arrived, dependencies).catch((error: unknown) => {
      logger.error({ error }, 'request to open a connection failed')
      arrived.request.refuse({ status: 500, code: 'REC_OVERLOADED', message: 'the request could not be judged' })
    })
  }
  route('open', (arrived) => ({ end: () => opened(arrived) }))
  route('send', (arrived) => send(arrived, find(arrived, polling)))
  route('receive', (arrived) => receive(arrived, find(arrived, polling)))
}

async function open({ head, session, client, request }: Arrived, { polling, tokens }: Dependencies): Promise<void> {
  const token = typeof head['token'] === 'string' ? head['token'] : ''
  const wanted = { session, client, authorization: `Bearer ${token}`, subprotocols: '' }
  const judgement = await judgeUpgrade(wanted, tokens, Date.now())
  if ('identity' in judgement) polling.open(judgement.identity, request)
  else request.refuse(judgement)
}

function find({ head, session = '', client = '', request }: Arrived, polling: Polling): PollingConnection | undefined {
  const key = head['connection']
  const connection = typeof key === 'string' ? polling.find(key, { session, client }) : undefined
  if (connection === undefined) request.refuse(UNKNOWN)
  else connection.heard(performance.now())
  return connection
}

function send({ head, request }: Arrived, connection: PollingConnection | undefined): BodyReader | undefined {
  if (connection === undefined) return undefined
  const begin = countOf(head['offset'])
  if (begin === undefined) return request.refuse(malformed('the head of send has no offset'))
  return {
    bytes: (offset, bytes) => {
      const refusal = connection.receiveBytes(begin + offset, bytes, performance.now())
      if (refusal !== undefined) request.refuse(refusal)
    },
    end: () => request.answer(200, connection.sendAnswer),
  }
}

function receive({ head, request }: Arrived, connection: PollingConnection | undefined): BodyReader | undefined {
  if (connection === undefined) return undefined
  const after = countOf(head['after'])
  if (after === undefined) return request.refuse(malformed('the head of receive has no after'))
  return {
    end: () => {
      request.onAborted(() => connection.abandoned(request))
      const refusal = connection.receive(after, request, performance.now())
      if (refusal !== undefined) request.refuse(refusal)
    },
  }
}

const countOf = (value: unknown): number | undefined =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined
const malformed = (message: string) => ({ status: 400, code: 'REC_MALFORMED', message }) as const
const UNKNOWN = {
  status: 404,
  code: 'REC_UNKNOWN_CONNECTION',
  message: 'this gateway has no such connection: open another',
} as const
