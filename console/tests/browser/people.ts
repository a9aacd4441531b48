/** What the tests look at: graphs of three teams, a conflict, a trash, subscriptions with parked commits. */
import { type Stage, until } from './stage.ts'

export const CONFLICT = '0192f0c1-0000-7000-8000-00000000c0de'
export const REASON = 'SMTP 550: mailbox not found'

const TITLES = ['Invoice approval', 'Customer onboarding', 'Refunds', 'Nightly import', 'Fraud check', 'Newsletter']

export async function furnish(stage: Stage): Promise<void> {
  for (const [index, title] of TITLES.entries()) {
    const graph = `team-${'abc'[index % 3]}.flow-${index + 1}`
    const nodes = ['start', 'check', 'pay'].map((id, x) => ({
      id,
      position: { x: x * 200, y: 0 },
      data: { label: id },
    }))
    const edges = [{ id: 'start-check', source: 'start', target: 'check' }]
    const attributes = { title, tags: [['billing', 'draft', 'ops'][index % 3]], owner: 'bob' }
    await stage.command('ada', graph, 'CREATE_GRAPH', { attributes, document: { nodes, edges } })
    if (index % 2 === 0) await stage.ask('ada', 'PUT', `/graphs/${graph}/labels/published`, { note: 'Release 1' })
  }
  const rename = (label: string): object => ({ nodeId: 'check', updates: { data: { label } } })
  const seen = { clientVersion: 2, onConflict: 'merge' }
  await stage.command('bob', 'team-a.flow-1', 'UPDATE_NODE', rename('Begin'), { ...seen, clientId: 'bob-tab' })
  const more = { ...seen, clientId: 'ada-tab', operationId: CONFLICT }
  await stage.command('ada', 'team-a.flow-1', 'UPDATE_NODE', rename('Go'), more, true)
  await stage.ask('ada', 'DELETE', '/graphs/team-b.flow-2?reason=Not%20used%20any%20more')
  await subscriptions(stage)
}

async function subscriptions(stage: Stage): Promise<void> {
  const filter = { graphs: ['team-a.*'] }
  await stage.ask('ada', 'PUT', '/subscriptions/mailer', { start: 'beginning', maxAttempts: 1, leaseMs: 1000, filter })
  await stage.ask('ada', 'PUT', '/subscriptions/audit-export', { start: 'now', filter: { types: ['GraphTrashed'] } })
  await until('four commits are parked', async () => {
    const { deliveries } = await stage.ask('ada', 'POST', '/subscriptions/mailer/next?max=1&wait=200')
    const deliveryIds = (deliveries as { deliveryId: string }[]).map(({ deliveryId }) => deliveryId)
    if (deliveryIds.length > 0)
      await stage.ask('ada', 'POST', '/subscriptions/mailer/nack', { deliveryIds, reason: REASON })
    return (await stage.ask('ada', 'GET', '/subscriptions/mailer')).parked === 4
  })
}
