// Asks again every few seconds, one question at a time, while somebody looks.

import * as activity from './activity.js';
import { byId, setText } from './dom.js';
import * as health from './health.js';
import * as statements from './statements.js';
import * as tenant from './tenant.js';
import * as tenants from './tenants.js';

const EVERY = 4000;
const parts = [health, tenants, statements, activity, tenant];
let timer;
let round;
let paused = false;
let answered = null;

async function refresh() {
  clearTimeout(timer);
  round?.abort();
  const mine = new AbortController();
  round = mine;
  try {
    for (const part of parts) await part.refresh(mine.signal);
    if (round !== mine) return;
    answered = Date.now();
    byId('alert').hidden = true;
  } catch (error) {
    if (round !== mine || mine.signal.aborted) return;
    setText(byId('alert'), `No answer from the proxy: ${error.message}. Trying again.`);
    byId('alert').hidden = false;
  }
  showFreshness();
  if (!paused && !document.hidden) timer = setTimeout(refresh, EVERY);
}

function halt() {
  clearTimeout(timer);
  round?.abort();
  round = undefined;
}

function showFreshness() {
  const when = answered === null ? '' : `Updated ${new Date(answered).toLocaleTimeString()}`;
  setText(byId('freshness'), paused ? `Paused. ${when}` : when);
}

byId('pause').addEventListener('click', (event) => {
  paused = !paused;
  event.currentTarget.setAttribute('aria-pressed', String(paused));
  if (paused) halt();
  else refresh();
  showFreshness();
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) halt();
  else if (!paused) refresh();
});

tenants.begin(tenant.open);
statements.begin(tenant.open);
activity.begin(tenant.open);
tenant.begin(refresh);
refresh();
