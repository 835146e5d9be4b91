// An application on node-postgres: the arguments are acme_corp's and globex's URLs.
'use strict';

const assert = require('node:assert');
const { pipeline } = require('node:stream/promises');
const { Readable, Writable } = require('node:stream');
const { Pool } = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const { from: copyFrom, to: copyTo } = require('pg-copy-streams');

const PUBLIC = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1";
const TENANTS = ['acme_corp', 'globex'];

/// The same work in both tenants at once.
const both = (pools, work) => Promise.all(pools.map((pool, index) => work(pool, TENANTS[index])));

async function withClient(pool, work) {
  const client = await pool.connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
}

async function setUp(pools) {
  for (const [index, pool] of pools.entries()) {
    for (const other of pools.slice(index)) {
      await assert.rejects(other.query('SELECT * FROM parts'), { code: '42P01' });
    }
    await pool.query(`
      CREATE TABLE parts (id serial PRIMARY KEY, name text UNIQUE, sizes integer[], extra jsonb, made timestamptz DEFAULT now());
      CREATE INDEX ON parts ((extra->>'tenant'));
      COMMENT ON TABLE parts IS 'what things are made of'`);
  }
}

async function rows(pools) {
  await both(pools, async (pool, tenant) => {
    const insert = 'INSERT INTO parts (name, sizes, extra) VALUES ($1, $2, $3) RETURNING *';
    const { rows: made } = await pool.query(insert, [tenant, [1, 2], { tenant }]);
    assert.deepStrictEqual([made[0].name, made[0].sizes, made[0].extra], [tenant, [1, 2], { tenant }]);
    assert(made[0].made instanceof Date);
    const asArrays = await pool.query({ text: 'SELECT name, current_schema() FROM parts', rowMode: 'array' });
    assert.deepStrictEqual(asArrays.rows, [[tenant, tenant]]);
    const several = await pool.query('SELECT 1 AS one; SELECT name FROM parts; UPDATE parts SET sizes = sizes');
    assert.deepStrictEqual(several.map((result) => result.command), ['SELECT', 'SELECT', 'UPDATE']);
    assert.strictEqual(several[1].rows[0].name, tenant);
    const binary = await pool.query({ text: 'SELECT $1::int AS n', values: [7], binary: true });
    assert.strictEqual(binary.rows[0].n, 7);
  });
}

/// The same name in both tenants; and once more after DDL has changed the columns.
async function namedStatements(pools) {
  const named = { name: 'part-by-name', text: 'SELECT * FROM parts WHERE name = $1' };
  for (let round = 0; round < 5; round += 1) {
    await both(pools, async (pool, tenant) => {
      const jobs = Array.from({ length: 20 }, () => pool.query({ ...named, values: [tenant] }));
      for (const result of await Promise.all(jobs)) assert.strictEqual(result.rows[0].extra.tenant, tenant);
    });
  }
  const { rows: columns } = await pools[0].query({ ...named, values: ['acme_corp'] });
  assert.strictEqual(Object.keys(columns[0]).length, 5);
}

async function cursors(pools) {
  await both(pools, (pool, tenant) =>
    withClient(pool, async (client) => {
      await client.query('BEGIN');
      const cursor = client.query(new Cursor('SELECT n, current_schema() AS s FROM generate_series(1, $1::int) n', [250]));
      let next = 1;
      for (let batch = await cursor.read(60); batch.length > 0; batch = await cursor.read(60)) {
        for (const row of batch) assert.deepStrictEqual({ ...row }, { n: next++, s: tenant });
      }
      assert.strictEqual(next, 251);
      await cursor.close();
      await client.query('COMMIT');
      const early = client.query(new Cursor('SELECT * FROM generate_series(1, 100000)'));
      assert.strictEqual((await early.read(10)).length, 10);
      await early.close();
      assert.strictEqual((await client.query('SELECT name FROM parts')).rows[0].name, tenant);
    }),
  );
}

async function streams(pools) {
  await both(pools, (pool, tenant) =>
    withClient(pool, async (client) => {
      const query = new QueryStream('SELECT n, current_schema() AS s FROM generate_series(1, $1::int) n', [3000], { batchSize: 70 });
      let sum = 0;
      for await (const row of client.query(query)) {
        assert.strictEqual(row.s, tenant);
        sum += row.n;
      }
      assert.strictEqual(sum, (3000 * 3001) / 2);
      const left = client.query(new QueryStream('SELECT * FROM generate_series(1, 100000)'));
      for await (const row of left) if (row.generate_series === 10) break;
      assert.strictEqual((await client.query('SELECT name FROM parts')).rows[0].name, tenant);
    }),
  );
}

async function copies(pools) {
  await both(pools, (pool, tenant) =>
    withClient(pool, async (client) => {
      const lines = Array.from({ length: 5000 }, (_, number) => `${tenant} ${number}\t{${number}}\n`);
      await pipeline(Readable.from(lines), client.query(copyFrom('COPY parts (name, sizes) FROM STDIN')));
      const received = [];
      const sink = new Writable({
        write(chunk, _, done) {
          received.push(chunk);
          done();
        },
      });
      const query = `COPY (SELECT name, sizes FROM parts WHERE name LIKE '${tenant} %' ORDER BY id) TO STDOUT`;
      await pipeline(client.query(copyTo(query)), sink);
      assert.strictEqual(Buffer.concat(received).toString(), lines.join(''));
      const twice = pipeline(Readable.from(lines.slice(0, 1)), client.query(copyFrom('COPY parts (name, sizes) FROM STDIN')));
      await assert.rejects(twice, { code: '23505' });
      assert.strictEqual((await client.query('DELETE FROM parts WHERE sizes[1] = ANY ($1)', [[5, 6]])).rowCount, 2);
      assert.strictEqual((await client.query('SELECT count(*)::int AS n FROM parts')).rows[0].n, 4999);
    }),
  );
}

async function errors(pools) {
  await both(pools, async (pool, tenant) => {
    await assert.rejects(pool.query('INSERT INTO parts (name) VALUES ($1)', [tenant]), {
      code: '23505',
      schema: tenant,
      table: 'parts',
      constraint: 'parts_name_key',
    });
    await assert.rejects(pool.query('SELECT nme FROM parts'), { code: '42703', position: '8' });
    await assert.rejects(pool.query("SELECT * FROM parts WHERE id = $1", ['x']), { code: '22P02' });
    await assert.rejects(pool.query('SELECT 1; SELECT * FROM nowhere'), { code: '42P01', position: '25' });
    await withClient(pool, async (client) => {
      await client.query("SET statement_timeout = '50ms'");
      await assert.rejects(client.query('SELECT pg_sleep(30)'), { code: '57014' });
      await client.query('RESET statement_timeout');
      assert.strictEqual((await client.query('SELECT name FROM parts WHERE id = 1')).rows[0].name, tenant);
    });
  });
}

async function transactions(pools) {
  await both(pools, (pool, tenant) =>
    withClient(pool, async (client) => {
      const count = async () => (await client.query('SELECT count(*)::int AS n FROM parts')).rows[0].n;
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await client.query('INSERT INTO parts (name) VALUES ($1)', ['in a transaction']);
      await client.query('SAVEPOINT here');
      await assert.rejects(client.query('INSERT INTO parts (name) VALUES ($1)', [tenant]), { code: '23505' });
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' });
      await client.query('ROLLBACK TO SAVEPOINT here');
      assert.strictEqual(await count(), 5000);
      await client.query('ROLLBACK');
      assert.strictEqual(await count(), 4999);
    }),
  );
}

async function crowd(pools) {
  const jobs = Array.from({ length: 60 }, (_, number) =>
    both(pools, (pool, tenant) =>
      withClient(pool, async (client) => {
        await client.query('BEGIN');
        await client.query('UPDATE parts SET sizes = $1 WHERE name = $2', [[number], tenant]);
        const { rows: found } = await client.query('SELECT extra FROM parts WHERE name = $1', [tenant]);
        assert.strictEqual(found[0].extra.tenant, tenant);
        await client.query(number % 2 ? 'COMMIT' : 'ROLLBACK');
      }),
    ),
  );
  await Promise.all(jobs);
}

async function tearDown(pools) {
  await pools[0].query('DROP TABLE parts');
  assert.strictEqual((await pools[1].query('SELECT count(*)::int AS n FROM parts')).rows[0].n, 4999);
  await pools[1].query('DROP TABLE parts');
}

async function main() {
  const pools = process.argv.slice(2, 4).map((connectionString) => new Pool({ connectionString, max: 4 }));
  const before = (await pools[0].query(PUBLIC)).rows;
  for (const step of [setUp, rows, namedStatements, cursors, streams, copies, errors, transactions, crowd, tearDown]) {
    try {
      await step(pools);
    } catch (error) {
      console.error(`${step.name} failed`);
      throw error;
    }
    console.log(`${step.name} passed`);
  }
  assert.deepStrictEqual((await pools[1].query(PUBLIC)).rows, before);
  await Promise.all(pools.map((pool) => pool.end()));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
