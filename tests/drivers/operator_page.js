// The operator's page in Debian's Chromium. Arguments: the HTTP port, and how many tenants there are.
// tests/tests/operator_page.rs says what they do meanwhile.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const { chromium } = require('playwright-core');

const [port, tenants] = process.argv.slice(2).map(Number);
const BASE = `http://127.0.0.1:${port}`;
const HOSTILE = '<img src=x onerror=window.hacked=1>';
const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const CHROMIUM = process.env.PGSTRATA_TEST_CHROMIUM || '/usr/bin/chromium';
const FLAGS = [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

let browser;

// A page, logged in, that fails on what it complains of, and on requests that leave the host.
async function open(options = {}, path = '/') {
  const httpCredentials = { username: 'watcher', password: 'watcher' };
  const context = await browser.newContext({ httpCredentials, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.asked = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.complaints.push(message.text());
  });
  page.on('pageerror', (error) => page.complaints.push(error.stack));
  page.on('request', (request) => {
    page.asked.push(request.url());
    if (new URL(request.url()).origin !== BASE) page.complaints.push(`asked ${request.url()}`);
  });
  await page.goto(BASE + path);
  await page.waitForSelector('#tenant-table tbody tr');
  await page.waitForFunction(() => document.getElementById('freshness').textContent.startsWith('Updated'));
  return page;
}

const texts = (page, selector) => page.locator(selector).allTextContents();
const names = (page) => texts(page, '#tenant-table tbody td:first-child');
const where = (page, text) =>
  page.waitForFunction((text) => document.getElementById('where').textContent.includes(text), text);

const cases = {
  async opens_and_shows_health() {
    const page = await open();
    // On a busy machine the first try may have come to nothing.
    await page.locator('#overall', { hasText: '✓ All databases reachable' }).waitFor();
    const facts = await texts(page, '#facts dt');
    for (const fact of ['Version', 'Uptime', 'Reachable', 'Requests/s', 'Clients', 'Waiting', 'Last reload']) {
      assert.ok(facts.includes(fact), fact);
    }
    await page.waitForFunction((wanted) => {
      const bar = document.querySelector('.bar-of-pool').getAttribute('aria-label');
      return new RegExp(wanted).test(bar);
    }, '^app: 1 pinned, \\d+ active, \\d+ connecting, \\d+ idle, \\d+ free, limit 3$');
    return page;
  },

  async wrong_password_sees_nothing() {
    const context = await browser.newContext({ httpCredentials: { username: 'watcher', password: 'wrong' } });
    const page = await context.newPage();
    const answer = await page.goto(`${BASE}/`);
    assert.strictEqual(answer.status(), 401);
    assert.ok(!(await page.content()).includes('Tenants'));
    await context.close();
  },

  async searches_among_many_tenants() {
    const page = await open();
    assert.strictEqual((await names(page)).length, 25);
    await page.fill('#search', 'T003');
    await where(page, `, 10 of ${tenants} tenants`);
    assert.deepStrictEqual((await names(page)).sort(), Array.from({ length: 10 }, (_, i) => `t003${i}`));
    assert.ok(page.asked.some((url) => url.includes('/api/v1/tenants?search=T003')), 'the proxy searches');
    await page.fill('#search', 'nobody');
    await where(page, `, 0 of ${tenants} tenants`);
    assert.ok(await page.getByText('No tenant to show.').isVisible());
    return page;
  },

  async sorts_and_turns_pages() {
    const page = await open();
    const head = page.locator('#tenant-table th', { hasText: 'Tenant' });
    await head.getByRole('button').click();
    await page.waitForSelector('#tenant-table th[aria-sort=ascending]');
    const first = await names(page);
    assert.deepStrictEqual(first, [...first].sort());
    await page.click('#next');
    await where(page, 'Page 2 of');
    const second = await names(page);
    assert.ok(first.at(-1) < second[0]);
    await head.getByRole('button').click();
    await page.waitForSelector('#tenant-table th[aria-sort=descending]');
    await where(page, 'Page 1 of');
    const last = await names(page);
    assert.deepStrictEqual(last, [...last].sort().reverse());
    assert.notDeepStrictEqual(last, first);
    return page;
  },

  async opens_one_tenant() {
    const page = await open();
    await page.fill('#search', 'acme_corp');
    await where(page, `, 1 of ${tenants}`);
    await page.getByRole('button', { name: 'acme_corp', exact: true }).first().click();
    const dialog = page.getByRole('dialog', { name: 'acme_corp' });
    await dialog.getByText('search_path').waitFor();
    await dialog.getByRole('cell', { name: HOSTILE }).waitFor();
    assert.match(page.url(), /#tenant=acme_corp$/);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    assert.strictEqual(page.url(), `${BASE}/`);
    const again = await open({}, '/#tenant=acme_corp');
    await again.getByRole('dialog', { name: 'acme_corp' }).getByText('search_path').waitFor();
    assert.deepStrictEqual(again.complaints, []);
    await again.context().close();
    return page;
  },

  async shows_who_runs_and_who_is_pinned() {
    const page = await open();
    const running = page.locator('#running tbody tr', { hasText: 'acme_corp' });
    assert.match(await running.textContent(), /acme_corpappapp● active.*open127\.0\.0\.1:\d+<img/);
    const pins = page.locator('#pins tbody tr', { hasText: 'acme_corp' });
    assert.match(await pins.textContent(), /acme_corpappapp\S/);
    assert.match((await texts(page, '#limits tbody tr')).join('\n'), /pool\.max_serversdatabase app\d of 3 \(\d+%\)/);
    return page;
  },

  async shows_what_tenants_run() {
    const page = await open();
    const heaviest = await texts(page, '#statements tbody tr');
    assert.strictEqual(heaviest.length, 25);
    const running = page.locator('#running tbody tr', { hasText: 'acme_corp' });
    await running.locator('code', { hasText: 'BEGIN' }).waitFor();
    await page.getByRole('button', { name: 'acme_corp', exact: true }).first().click();
    const own = page.locator('#tenant-statements tbody tr');
    await own.filter({ hasText: 'CREATE TEMP TABLE scratch (id int)' }).waitFor();
    assert.strictEqual(await own.count(), 2);
    const refused = await texts(page, '#refusals tbody tr');
    assert.strictEqual(refused.length, 1);
    assert.match(refused[0], /SELECT \* FROM globex\.users42501: .*globex.*1\d/);
    return page;
  },

  async is_dark_where_the_system_is_and_as_the_user_says() {
    const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const page = await open({ colorScheme: 'dark' });
    assert.strictEqual(await ground(page), 'rgb(16, 20, 26)');
    await page.selectOption('#theme', 'light');
    assert.strictEqual(await ground(page), 'rgb(245, 246, 248)');
    await page.reload();
    await page.waitForSelector('#tenant-table tbody tr');
    assert.strictEqual(await ground(page), 'rgb(245, 246, 248)');
    await page.selectOption('#theme', 'dark');
    assert.strictEqual(await ground(page), 'rgb(16, 20, 26)');
    return page;
  },

  async needs_no_mouse() {
    const page = await open();
    const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
    const tabTo = async (wanted) => {
      for (let steps = 0; (await focused()) !== wanted; steps += 1) {
        assert.ok(steps < 60, `Tab does not come to ${wanted}`);
        await page.keyboard.press('Tab');
      }
    };
    await page.keyboard.press('Tab');
    assert.strictEqual(await focused(), 'Skip to tenants');
    await page.keyboard.press('Enter');
    await tabTo('search');
    await page.keyboard.type('t0042');
    await where(page, `, 1 of ${tenants}`);
    await tabTo('t0042');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 't0042' }).waitFor();
    await tabTo('tenant-close');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.strictEqual(await focused(), 't0042', 'the focus comes back');
    await page.evaluate(() => document.getElementById('freshness').textContent = '');
    await page.waitForFunction(() => document.getElementById('freshness').textContent !== '');
    assert.strictEqual(await focused(), 't0042', 'newer numbers leave it there');
    return page;
  },

  async fits_a_phone() {
    const page = await open({ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    const width = () => page.evaluate(() => document.documentElement.scrollWidth);
    assert.strictEqual(await width(), 360);
    await page.getByRole('button', { name: 'acme_corp', exact: true }).first().tap();
    await page.getByRole('dialog').getByText('search_path').waitFor();
    assert.strictEqual(await width(), 360);
    const dialog = await page.locator('dialog').evaluate((it) => [it.scrollWidth, it.clientWidth]);
    assert.strictEqual(dialog[0], dialog[1]);
    return page;
  },

  async hostile_names_are_text() {
    const page = await open();
    await page.fill('#search', '<IMG');
    await where(page, `, 1 of ${tenants}`);
    assert.deepStrictEqual(await names(page), [HOSTILE]);
    assert.ok((await texts(page, '#refused tbody td')).includes(HOSTILE));
    await page.locator('#tenant-table').getByRole('button', { name: HOSTILE }).click();
    await page.getByRole('dialog', { name: HOSTILE }).getByText('search_path').waitFor();
    assert.strictEqual(await page.locator('img').count(), 1, 'the icon is the only image');
    assert.strictEqual(await page.evaluate(() => window.hacked), undefined);
    const asked = page.asked.filter((url) => new URL(url).pathname === '/x');
    assert.deepStrictEqual(asked, []);
    return page;
  },

  async rests_while_nobody_looks() {
    const page = await open();
    await page.clock.install();
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true });
      window.away = true;
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await page.waitForLoadState('networkidle');
    const before = page.asked.length;
    await page.clock.runFor(60_000);
    assert.strictEqual(page.asked.length, before);
    const next = page.waitForRequest(/health/);
    await page.evaluate(() => {
      window.away = false;
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await next;
    return page;
  },

  async says_when_the_proxy_does_not_answer() {
    const page = await open();
    const before = [...page.complaints];
    await page.route('**/api/**', (route) => route.fulfill({ status: 503, json: { error: 'no <b>answer</b>' } }));
    await page.getByRole('alert').getByText('no <b>answer</b>').waitFor();
    await page.unroute('**/api/**');
    await page.getByRole('alert').waitFor({ state: 'hidden' });
    // The browser itself notes the 503.
    page.complaints = before;
    return page;
  },

  async axe_finds_nothing_serious() {
    const phone = { viewport: { width: 360, height: 740 } };
    for (const options of [{ colorScheme: 'light' }, { colorScheme: 'dark' }, phone]) {
      for (const path of ['/', '/#tenant=acme_corp']) {
        const page = await open(options, path);
        if (path !== '/') await page.getByRole('dialog').getByText('search_path').waitFor();
        await page.evaluate(AXE);
        const { violations } = await page.evaluate(() => window.axe.run());
        const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
        const said = serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html + node.failureSummary).join('\n')}`);
        assert.deepStrictEqual(said, [], `${JSON.stringify(options)} ${path}`);
        await page.context().close();
      }
    }
  },
};

(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  for (const [name, run] of Object.entries(cases)) {
    console.log(name);
    const page = await run();
    if (page) {
      assert.deepStrictEqual(page.complaints, [], name);
      await page.context().close();
    }
  }
  if (process.env.PGSTRATA_TEST_SCREENSHOTS) await screenshots(process.env.PGSTRATA_TEST_SCREENSHOTS);
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});

// For people to look at.
async function screenshots(folder) {
  const sizes = { light: { width: 1280, height: 800 }, dark: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };
  for (const [name, viewport] of Object.entries(sizes)) {
    const page = await open({ viewport, colorScheme: name === 'dark' ? 'dark' : 'light' });
    await page.screenshot({ path: `${folder}/${name}.png` });
    await page.context().close();
  }
}
