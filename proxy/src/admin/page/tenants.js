// The table of tenants. The proxy searches, sorts and cuts; the page shows one page of it.

import { ask } from './api.js';
import { byId, element, setText } from './dom.js';
import { count, micros, mood, rate, state, whole } from './format.js';
import { Rates, draw, plot } from './spark.js';
import { Table } from './table.js';

export const rates = new Rates();
export const keyOf = (row) => JSON.stringify([row.database, row.tenant]);

const asked = { search: '', sort: 'requests', order: 'desc', page: 1, size: 25 };
let table;
let running;

// `open(tenant)` is called for the tenant that a user chooses.
export function begin(open) {
  const number = (name, title, shape = count, extra = {}) => ({
    name, title, number: true, sortable: true, text: (row) => shape(row[name]), ...extra,
  });
  const isAny = (name, how) => ({ mood: (row) => (row[name] > 0 ? how : '') });
  table = new Table(byId('tenant-table'), {
    label: 'Tenants that have had a client since the start',
    key: keyOf,
    empty: 'No tenant to show.',
    onSort,
    columns: [
      { name: 'tenant', title: 'Tenant', sortable: true, make: (row) => nameOf(row, open) },
      { name: 'database', title: 'Database', sortable: true, text: (row) => row.database },
      { name: 'state', title: 'State', sortable: true, text: (row) => state(row.state), mood: (row) => mood(row.state) },
      { name: 'rate', title: 'Requests/s', number: true, make: makeSpark, update: fillSpark },
      number('requests', 'Requests'),
      number('query_time', 'PostgreSQL time', micros),
      number('p99_time', 'p99', micros),
      number('wait_time', 'Wait', micros),
      number('errors', 'Errors', count, isAny('errors', 'warn')),
      number('refused', 'Refused', count, isAny('refused', 'warn')),
      number('clients', 'Clients'),
      number('waiting', 'Waiting', count, isAny('waiting', 'warn')),
    ],
  });
  // On a phone each row is a card.
  if (matchMedia('(max-width: 50rem)').matches) [asked.size, byId('size').value] = [10, '10'];
  let typing;
  byId('search').addEventListener('input', (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ search: event.target.value, page: 1 }), 200);
  });
  byId('size').addEventListener('change', (event) => change({ size: Number(event.target.value), page: 1 }));
  byId('previous').addEventListener('click', () => change({ page: Math.max(1, asked.page - 1) }));
  byId('next').addEventListener('click', () => change({ page: asked.page + 1 }));
}

function nameOf(row, open) {
  const button = element('button', { type: 'button', class: 'link' }, row.tenant);
  button.addEventListener('click', () => open(row.tenant));
  return button;
}

const makeSpark = () => element('span', { class: 'rate' }, plot(80, 22), element('span'));

function fillSpark(shown, row) {
  const [spark, text] = shown.children;
  draw(spark, rates.of(keyOf(row)));
  setText(text, rate(rates.last(keyOf(row))));
}

// Names go from A, numbers from the largest.
function onSort(name) {
  const first = ['tenant', 'database', 'state'].includes(name) ? 'asc' : 'desc';
  const other = asked.order === 'asc' ? 'desc' : 'asc';
  change({ sort: name, order: asked.sort === name ? other : first, page: 1 });
}

function change(what) {
  Object.assign(asked, what);
  // An answer to an older question is of no use; the error is shown by the next refresh.
  refresh().catch(() => {});
}

export async function refresh(signal) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  signal?.addEventListener('abort', () => mine.abort(), { signal: mine.signal });
  let listed;
  try {
    listed = await ask('tenants', asked, mine.signal);
  } catch (error) {
    // A newer question is on its way, and shows its own answer.
    if (running !== mine) return;
    throw error;
  }
  if (running !== mine) return;
  rates.take(new Map(listed.rows.map((row) => [keyOf(row), row.requests])));
  table.update(listed.rows);
  table.sorted(asked.sort, asked.order);
  const pages = Math.max(1, Math.ceil(listed.matched / asked.size));
  if (asked.page > pages) {
    change({ page: pages });
    return;
  }
  const of = listed.matched === listed.total ? '' : ` of ${whole(listed.total)}`;
  setText(byId('where'), `Page ${whole(asked.page)} of ${whole(pages)}, ${whole(listed.matched)}${of} tenants`);
  // A button that is disabled loses the focus of a keyboard.
  byId('previous').setAttribute('aria-disabled', String(asked.page <= 1));
  byId('next').setAttribute('aria-disabled', String(asked.page >= pages));
}
