// Clients that run or wait now, pins, limits, and whose statements are refused most.

import { ask } from './api.js';
import { byId, element, setText } from './dom.js';
import { age, micros, mood, state, whole } from './format.js';
import { Table } from './table.js';

const MOST = 50;
const tables = {};

// What a client does, for how long: waiting for a server, or since it got one.
const sinceWhen = (row) =>
  row.state === 'waiting' ? micros(row.wait * 1_000_000 + row.wait_us) : age(row.request_time, row.now);

export const clientColumns = [
  { name: 'tenant', title: 'Tenant', text: (row) => row.tenant ?? '–' },
  { name: 'user', title: 'User', text: (row) => row.user },
  { name: 'database', title: 'Database', text: (row) => row.database },
  { name: 'state', title: 'State', text: (row) => state(row.state), mood: (row) => mood(row.state) },
  { name: 'age', title: 'For', number: true, text: sinceWhen },
  { name: 'query', title: 'Statement', make: () => element('code', {}), update: (code, row) => setText(code, row.query ?? '–') },
  { name: 'transaction', title: 'Transaction', text: (row) => row.transaction },
  { name: 'address', title: 'Address', text: (row) => `${row.addr}:${row.port}` },
  { name: 'application', title: 'Application', text: (row) => row.application_name || '–' },
];

export function begin(open) {
  const nameOf = (row) => {
    const button = element('button', { type: 'button', class: 'link' }, row.tenant);
    button.addEventListener('click', () => open(row.tenant));
    return button;
  };
  tables.running = new Table(byId('running'), {
    label: 'Clients that have a server or wait for one, the longest first',
    empty: 'No client runs anything now.',
    key: (row) => row.id,
    columns: clientColumns,
  });
  tables.pins = new Table(byId('pins'), {
    label: 'Clients that keep their server beyond a transaction',
    empty: 'No client keeps its server beyond a transaction.',
    key: (row) => `${row.id} ${row.reason}`,
    columns: [
      { name: 'tenant', title: 'Tenant', text: (row) => row.tenant ?? '–' },
      { name: 'user', title: 'User', text: (row) => row.user },
      { name: 'database', title: 'Database', text: (row) => row.database },
      { name: 'reason', title: 'Why', text: (row) => row.reason },
      { name: 'age', title: 'Server for', number: true, text: (row) => age(row.request_time, row.now) },
      { name: 'client', title: 'Client', number: true, text: (row) => String(row.id) },
    ],
  });
  tables.limits = new Table(byId('limits'), {
    label: 'Limits, and how much of each is used',
    empty: 'No limit to show.',
    key: (row) => JSON.stringify([row.name, row.database, row.of, row.holder]),
    columns: [
      { name: 'name', title: 'Limit', text: (row) => row.name },
      { name: 'holder', title: 'Of', text: (row) => (row.holder === null ? row.of : `${row.of} ${row.holder}`) },
      { name: 'used', title: 'Used', number: true, text: usedOf, mood: (row) => (row.value > 0 && row.used >= row.value ? 'bad' : '') },
      { name: 'limited', title: 'Reached', number: true, text: (row) => (row.limited === null ? '–' : whole(row.limited)) },
    ],
  });
  beginRefusals(nameOf);
  tables.refused = new Table(byId('refused'), {
    label: 'Tenants with the most refused statements',
    empty: 'No statement was refused since the start.',
    key: (row) => JSON.stringify([row.database, row.tenant]),
    columns: [
      { name: 'tenant', title: 'Tenant', make: nameOf },
      { name: 'database', title: 'Database', text: (row) => row.database },
      { name: 'refused', title: 'Refused', number: true, text: (row) => whole(row.refused) },
      { name: 'errors', title: 'Errors', number: true, text: (row) => whole(row.errors) },
    ],
  });
}

function beginRefusals(nameOf) {
  tables.refusals = new Table(byId('refusals'), {
    label: 'Statements that were refused lately, the last first',
    empty: 'No statement was refused since the start.',
    key: (row) => JSON.stringify([row.database, row.tenant, row.queryid, row.code]),
    columns: [
      { name: 'tenant', title: 'Tenant', make: nameOf },
      { name: 'query', title: 'Statement', make: () => element('code', {}), update: (code, row) => setText(code, row.query) },
      { name: 'reason', title: 'Why', text: (row) => `${row.code}: ${row.reason}` },
      { name: 'count', title: 'Refused', number: true, text: (row) => whole(row.count) },
      { name: 'last', title: 'Last', number: true, text: (row) => `${age(row.last_refusal, row.now)} ago` },
    ],
  });
}

function usedOf(row) {
  // A time has a limit, and no use.
  if (row.used === null) return `${whole(row.value)} ${row.unit ?? ''}`;
  const share = row.value > 0 ? ` (${Math.round((row.used / row.value) * 100)}%)` : '';
  return `${whole(row.used)} of ${whole(row.value)}${share}`;
}

// Rows with the proxy's time: ages are told by its clock.
export const withNow = (listed) => listed.rows.map((row) => ({ ...row, now: listed.now }));

export const howMany = (listed) =>
  listed.matched > listed.rows.length
    ? `${whole(listed.rows.length)} of ${whole(listed.matched)}`
    : whole(listed.matched);

export async function refresh(signal) {
  const oldest = { sort: 'request_time', order: 'asc', size: MOST };
  const running = await ask('clients', { ...oldest, state: 'active,waiting' }, signal);
  tables.running.update(withNow(running));
  setText(byId('running-count'), howMany(running));
  const pins = await ask('pins', oldest, signal);
  tables.pins.update(withNow(pins));
  setText(byId('pins-count'), howMany(pins));
  const limits = await ask('limits', { sort: 'limited', order: 'desc', size: MOST }, signal);
  tables.limits.update(limits.rows);
  const refusals = await ask('refusals', { sort: 'last_refusal', order: 'desc', size: 10 }, signal);
  tables.refusals.update(withNow(refusals));
  const refused = await ask('tenants', { sort: 'refused', order: 'desc', size: 5 }, signal);
  tables.refused.update(refused.rows.filter((row) => row.refused > 0));
}
