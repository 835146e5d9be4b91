// One tenant: what SHOW TENANT has, its clients, its requests a second. Its address is #tenant=NAME.

import { ask } from './api.js';
import { clientColumns, howMany, withNow } from './activity.js';
import { byId, element, setText, terms } from './dom.js';
import { bytes, micros, rate, whole } from './format.js';
import { Rates, draw, plot } from './spark.js';
import * as statements from './statements.js';
import { Table } from './table.js';

const PREFIX = '#tenant=';
const TIMES = ['query_time', 'p99_time', 'wait_time'];
const SIZES = ['bytes_received', 'bytes_sent'];
const TEXTS = ['schema', 'strategy', 'tier', 'role', 'state'];

const [spark, pace] = [plot(400, 56), element('span', { class: 'muted' })];
let name = null;
let rates = new Rates();
let clients;
let runs;

export function begin(changed) {
  const dialog = byId('tenant');
  byId('tenant-spark').append(spark, pace);
  clients = new Table(byId('tenant-clients'), {
    label: "The tenant's clients, the one that has had its server longest first",
    empty: 'The tenant has no client now.',
    key: (row) => row.id,
    columns: clientColumns.filter((column) => column.name !== 'tenant'),
  });
  runs = new Table(byId('tenant-statements'), {
    label: "The tenant's statements, those with most of PostgreSQL's time first",
    empty: 'The tenant has run no statement, or none is counted.',
    key: statements.keyOf,
    columns: statements.columns(),
  });
  byId('tenant-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    if (location.hash.startsWith(PREFIX)) history.replaceState(null, '', location.pathname);
    name = null;
  });
  const follow = () => {
    const wanted = wantedName();
    if (wanted === null) dialog.close();
    else {
      show(wanted);
      changed();
    }
  };
  addEventListener('hashchange', follow);
  if (wantedName() !== null) show(wantedName());
}

function wantedName() {
  if (!location.hash.startsWith(PREFIX)) return null;
  try {
    return decodeURIComponent(location.hash.slice(PREFIX.length)) || null;
  } catch {
    return null; // Somebody has written it by hand.
  }
}

// Opens the tenant of that name.
export function open(tenant) {
  location.hash = PREFIX + encodeURIComponent(tenant);
}

function show(tenant) {
  [name, rates] = [tenant, new Rates()];
  setText(byId('tenant-title'), tenant);
  byId('tenant-facts').replaceChildren(element('p', { class: 'muted' }, 'Loading'));
  setText(byId('tenant-count'), '');
  setText(byId('tenant-statements-count'), '');
  clients.update([]);
  runs.update([]);
  draw(spark, []);
  setText(pace, '');
  if (!byId('tenant').open) byId('tenant').showModal();
}

export async function refresh(signal) {
  const mine = name;
  if (mine === null) return;
  const rows = await ask('show/tenant', { name: mine }, signal);
  const oldest = { tenant: mine, sort: 'request_time', order: 'asc', size: 50 };
  const listed = await ask('clients', oldest, signal);
  const run = await statements.listed(mine, signal);
  // Meanwhile the user may have gone to another.
  if (mine !== name) return;
  showFacts(rows);
  clients.update(withNow(listed));
  setText(byId('tenant-count'), howMany(listed));
  runs.update(run.rows);
  setText(byId('tenant-statements-count'), howMany(run));
  const requests = rows.filter((row) => row.key === 'requests');
  rates.take(new Map([[mine, requests.reduce((all, row) => all + Number(row.value), 0)]]));
  draw(spark, rates.of(mine));
  setText(pace, `${rate(rates.last(mine))} requests/s`);
}

function shape({ key, value }) {
  if (TEXTS.includes(key)) return value;
  if (TIMES.includes(key)) return micros(Number(value));
  return SIZES.includes(key) ? bytes(Number(value)) : whole(Number(value));
}

function showFacts(rows) {
  const host = byId('tenant-facts');
  const databases = [...new Set(rows.map((row) => row.database))];
  const now = JSON.stringify(databases);
  if (databases.length === 0) {
    host.replaceChildren(element('p', {}, 'This tenant has had no client here since the start.'));
  } else if (host.dataset.databases !== now || host.querySelector('dl') === null) {
    const part = (database) => [element('h3', {}, `Database ${database}`), element('dl', { class: 'facts small' })];
    host.replaceChildren(...databases.flatMap(part));
  }
  host.dataset.databases = now;
  databases.forEach((database, place) => {
    const own = rows.filter((row) => row.database === database);
    const words = (key) => key.replaceAll('_', ' ').replace(/^./, (first) => first.toUpperCase());
    terms(host.querySelectorAll('dl')[place], own.map((row) => [words(row.key), shape(row)]));
  });
}
