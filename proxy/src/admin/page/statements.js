// What tenants run: normalized statements, by PostgreSQL's time; of one tenant in its own view.

import { ask } from './api.js';
import { byId, element, setText } from './dom.js';
import { bytes, count, micros, whole } from './format.js';
import { Table } from './table.js';

const MOST = 25;
const shape = { sort: 'query_time', order: 'desc', size: MOST };
let all;

// Columns of a table of statements.
export function columns() {
  const number = (name, title, text = count, extra = {}) => ({ name, title, number: true, text: (row) => text(row[name]), ...extra });
  return [
    { name: 'query', title: 'Statement', make: () => element('code', {}), update: (code, row) => setText(code, row.query) },
    number('query_time', 'PostgreSQL time', micros),
    number('calls', 'Calls'),
    number('avg_time', 'Average', micros),
    number('p99_time', 'p99', micros),
    number('errors', 'Errors', count, { mood: (row) => (row.errors > 0 ? 'warn' : '') }),
    number('wait_time', 'Wait', micros),
    number('rows', 'Rows'),
    number('bytes_sent', 'Sent', bytes),
  ];
}

export const keyOf = (row) => JSON.stringify([row.database, row.tenant, row.queryid]);

export function begin(open) {
  const nameOf = (row) => {
    const button = element('button', { type: 'button', class: 'link' }, row.tenant);
    button.addEventListener('click', () => open(row.tenant));
    return button;
  };
  all = new Table(byId('statements'), {
    label: 'Statements that take most of PostgreSQL, with their tenants',
    empty: 'No statement was run, or none is counted.',
    key: keyOf,
    columns: [{ name: 'tenant', title: 'Tenant', make: nameOf }, ...columns()],
  });
}

// A tenant's statements; `undefined`: those of all.
export const listed = (tenant, signal) => ask('statements', { ...shape, tenant }, signal);

export async function refresh(signal) {
  const answer = await listed(undefined, signal);
  all.update(answer.rows);
  setText(byId('statements-count'), `${whole(answer.rows.length)} of ${whole(answer.matched)}`);
}
