// How the proxy is, and a bar for the pool of each database.

import { ask } from './api.js';
import { byId, element, setText, terms } from './dom.js';
import { count, micros, moment, rate, seconds, whole } from './format.js';
import { Rates } from './spark.js';

const MONTH = 30 * 86_400;
const rates = new Rates();
const pools = new Map();

// Parts of a bar, in their order; what is left is free.
const PARTS = ['pinned', 'active', 'connecting', 'idle', 'free'];

export async function refresh(signal) {
  const health = await ask('health', {}, signal);
  const totals = await ask('show/stats_totals', {}, signal);
  rates.take(new Map(totals.map((row) => [row.database, row.query_count])));
  showFacts(health);
  showPools(health.databases);
  showOverall(health.databases);
}

function showOverall(databases) {
  const down = databases.filter((database) => database.reachable === false);
  const shown = byId('overall');
  const halted = databases.filter((database) => database.paused || database.disabled);
  let [text, mood] = ['✓ All databases reachable', 'good'];
  if (down.length > 0) [text, mood] = [`✕ Unreachable: ${names(down)}`, 'bad'];
  else if (halted.length > 0) [text, mood] = [`! Paused or disabled: ${names(halted)}`, 'warn'];
  setText(shown, text);
  shown.className = `badge ${mood}`;
}

function names(databases) {
  const shown = databases.slice(0, 3).map((database) => database.name).join(', ');
  return databases.length > 3 ? `${shown} and ${databases.length - 3} more` : shown;
}

function showFacts(health) {
  const sum = (key) => health.databases.reduce((all, database) => all + database[key], 0);
  const requests = health.databases.map((database) => rates.last(database.name));
  const known = requests.filter((value) => value !== undefined);
  const reachable = health.databases.filter((database) => database.reachable).length;
  const all = health.databases.length;
  terms(byId('facts'), [
    ['Version', health.version],
    ['Uptime', seconds(health.uptime)],
    ['Reachable', `${reachable} of ${all}`, reachable < all ? 'bad' : ''],
    ['Requests/s', known.length ? rate(known.reduce((a, b) => a + b, 0)) : '–'],
    ['Clients', whole(sum('clients'))],
    ['Waiting', whole(sum('waiting')), sum('waiting') > 0 ? 'warn' : ''],
    ['Last reload', ...reloaded(health)],
    ...Object.entries(health.certificates).map(([key, expiry]) => certificate(key, expiry - health.now)),
  ]);
}

function reloaded({ last_reload: reload, now }) {
  if (reload === null) return ['none yet'];
  const ago = `${seconds(Math.max(0, now - moment(reload.time) / 1000))} ago`;
  return reload.succeeded ? [ago] : [`✕ failed ${ago}`, 'bad'];
}

// A key's path says enough of what it is: listen.tls_certificate.
function certificate(key, left) {
  if (left <= 0) return [key, '✕ expired', 'bad'];
  return [key, `${left < MONTH ? '! ' : ''}${seconds(left)} left`, left < MONTH ? 'warn' : ''];
}

function showPools(databases) {
  for (const [name, shown] of pools) {
    if (!databases.some((database) => database.name === name)) {
      shown.root.remove();
      pools.delete(name);
    }
  }
  for (const database of databases) {
    if (!pools.has(database.name)) {
      const made = makePool(database.name);
      pools.set(database.name, made);
      byId('pools').append(made.root);
    }
    fillPool(pools.get(database.name), database);
  }
}

function makePool(name) {
  const bar = element('div', { class: 'bar-of-pool', role: 'img' });
  const parts = Object.fromEntries(PARTS.map((part) => [part, element('span', { class: `part ${part}` })]));
  bar.append(...Object.values(parts));
  const status = element('span', { class: 'badge' });
  const [legend, facts] = [element('ul', { class: 'legend' }), element('dl', { class: 'facts small' })];
  const counts = {};
  for (const part of PARTS) {
    counts[part] = element('span');
    legend.append(element('li', {}, element('span', { class: `swatch ${part}`, 'aria-hidden': 'true' }), counts[part]));
  }
  const root = element('article', { class: 'card' }, element('div', { class: 'head' }, element('h3', {}, name), status), bar, legend, facts);
  return { root, bar, parts, status, counts, facts };
}

function fillPool(shown, database) {
  const pinned = Math.min(database.pinned, database.active);
  const { connecting, idle, limit } = database;
  const active = database.active - pinned;
  const free = Math.max(0, limit - pinned - active - connecting - idle);
  const sizes = { pinned, active, connecting, idle, free };
  for (const [part, size] of Object.entries(sizes)) {
    shown.parts[part].style.flexGrow = String(size);
    shown.parts[part].hidden = size === 0;
    setText(shown.counts[part], `${whole(size)} ${part}`);
  }
  const said = PARTS.map((part) => `${sizes[part]} ${part}`).join(', ');
  shown.bar.setAttribute('aria-label', `${database.name}: ${said}, limit ${limit}`);
  const [status, mood] = statusOf(database);
  setText(shown.status, status);
  shown.status.className = `badge ${mood}`;
  terms(shown.facts, [
    ['Limit', whole(limit)],
    ['Clients', count(database.clients)],
    ['Waiting', whole(database.waiting), database.waiting > 0 ? 'warn' : ''],
    ['Longest wait', micros(database.longest_wait), database.longest_wait > 1_000_000 ? 'warn' : ''],
    ['Requests/s', rate(rates.last(database.name))],
    ...(database.tenant_pools > 0
      ? [["Tenants' own pools", `${whole(database.tenant_pools)} (${whole(database.tenant_servers)} servers)`]]
      : []),
  ]);
}

function statusOf(database) {
  if (database.disabled) return ['! disabled', 'warn'];
  if (database.paused) return ['! paused', 'warn'];
  if (database.reachable === false) return ['✕ unreachable', 'bad'];
  return database.reachable ? ['✓ reachable', 'good'] : ['not tried yet', ''];
}
