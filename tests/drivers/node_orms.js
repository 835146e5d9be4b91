// Query builders and ORMs of Node: the arguments are the library, the tenant's URL and its name.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const [library, url, tenant] = process.argv.slice(2);
const CREATE = 'CREATE TABLE js_notes (id serial PRIMARY KEY, owner text NOT NULL, n integer UNIQUE, extra jsonb)';
const numbers = (count) => Array.from({ length: count }, (_, index) => index + 1);
const code = (expected) => (error) => {
  const found = error.code ?? error.cause?.code ?? error.parent?.code;
  assert.strictEqual(found, expected, error);
  return true;
};

async function kysely() {
  const { Kysely, Migrator, PostgresDialect, sql } = require('kysely');
  const { Pool } = require('pg');
  const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: url, max: 2 }) }) });
  await db.schema.createTable('js_notes').addColumn('id', 'serial', (column) => column.primaryKey())
    .addColumn('owner', 'text', (column) => column.notNull()).addColumn('n', 'integer', (column) => column.unique()).execute();
  const added = await db.insertInto('js_notes').values(numbers(20).map((n) => ({ owner: tenant, n }))).returning('id').execute();
  assert.deepStrictEqual(added.map((row) => row.id), numbers(20));
  await Promise.all(numbers(20).map(async (n) => {
    const row = await db.selectFrom('js_notes').selectAll().where('n', '=', n).executeTakeFirstOrThrow();
    assert.strictEqual(row.owner, tenant);
  }));
  await assert.rejects(db.insertInto('js_notes').values({ owner: tenant, n: 1 }).execute(), code('23505'));
  await assert.rejects(db.transaction().execute(async (trx) => {
    await trx.updateTable('js_notes').set({ n: 99 }).where('n', '=', 1).execute();
    throw new Error('undone');
  }), /undone/);
  assert.deepStrictEqual(await db.selectFrom('js_notes').select('id').where('n', '=', 99).execute(), []);
  await db.insertInto('js_notes').values({ owner: tenant, n: 1 }).onConflict((on) => on.column('n').doNothing()).execute();
  const counted = await sql`SELECT count(*)::int AS count FROM js_notes WHERE owner = ${tenant}`.execute(db);
  assert.strictEqual(counted.rows[0].count, 20);
  const tables = (await db.introspection.getTables()).filter((table) => table.schema === tenant);
  const { columns } = tables.find((table) => table.name === 'js_notes');
  assert.deepStrictEqual(columns.map((column) => [column.name, column.isAutoIncrementing]), [['id', true], ['owner', false], ['n', false]]);
  const steps = { one: {
    up: (migration) => migration.schema.createTable('js_lines').addColumn('id', 'serial').execute(),
    down: (migration) => migration.schema.dropTable('js_lines').execute(),
  } };
  // It looks for its tables in all schemas that the catalog shows, unless it is told in which.
  const migrator = new Migrator({ db, provider: { getMigrations: async () => steps }, migrationTableSchema: tenant });
  for (const [direction, work] of [['Up', () => migrator.migrateToLatest()], ['Down', () => migrator.migrateDown()]]) {
    const { error, results } = await work();
    assert.ifError(error);
    assert.deepStrictEqual(results.map((result) => [result.direction, result.status]), [[direction, 'Success']]);
  }
  for (const table of ['js_notes', 'kysely_migration', 'kysely_migration_lock']) {
    await db.schema.dropTable(table).execute();
  }
  await db.destroy();
}

async function drizzle() {
  const { drizzle: open } = require('drizzle-orm/node-postgres');
  const { pgTable, serial, text, integer, jsonb } = require('drizzle-orm/pg-core');
  const { eq, sql } = require('drizzle-orm');
  const { Pool } = require('pg');
  const notes = pgTable('js_notes', { id: serial().primaryKey(), owner: text().notNull(), n: integer().unique(), extra: jsonb() });
  const pool = new Pool({ connectionString: url, max: 2 });
  const db = open({ client: pool });
  await db.execute(sql.raw(CREATE));
  const added = await db.insert(notes).values(numbers(20).map((n) => ({ owner: tenant, n, extra: { n } }))).returning({ id: notes.id });
  assert.strictEqual(added.length, 20);
  const one = db.select().from(notes).where(eq(notes.n, sql.placeholder('n'))).prepare('one_note');
  for (const n of numbers(10)) {
    assert.deepStrictEqual((await one.execute({ n })).map((row) => [row.owner, row.extra.n]), [[tenant, n]]);
  }
  await assert.rejects(db.insert(notes).values({ owner: tenant, n: 1 }), code('23505'));
  await db.transaction(async (tx) => {
    await tx.update(notes).set({ n: 50 }).where(eq(notes.n, 5));
    await assert.rejects(tx.transaction(async (inner) => {
      await inner.delete(notes);
      inner.rollback();
    }));
    assert.strictEqual((await tx.select().from(notes)).length, 20);
  });
  await db.insert(notes).values({ owner: tenant, n: 1 }).onConflictDoUpdate({ target: notes.n, set: { extra: {} } });
  assert.deepStrictEqual(await db.selectDistinct({ owner: notes.owner }).from(notes), [{ owner: tenant }]);
  const { migrate } = require('drizzle-orm/node-postgres/migrator');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'drizzle-'));
  fs.mkdirSync(`${folder}/meta`);
  const entries = [{ idx: 0, version: '7', when: 1, tag: '0000_lines', breakpoints: true }];
  fs.writeFileSync(`${folder}/meta/_journal.json`, JSON.stringify({ version: '7', dialect: 'postgresql', entries }));
  const steps = ['CREATE TABLE js_lines (id serial)', 'INSERT INTO js_lines DEFAULT VALUES'];
  fs.writeFileSync(`${folder}/0000_lines.sql`, steps.join(';--> statement-breakpoint\n'));
  for (let run = 0; run < 2; run++) {
    await migrate(db, { migrationsFolder: folder, migrationsSchema: tenant });
  }
  fs.rmSync(folder, { recursive: true });
  assert.deepStrictEqual((await db.execute(sql`SELECT id FROM js_lines`)).rows, [{ id: 1 }]);
  await db.execute(sql`DROP TABLE js_notes, js_lines, __drizzle_migrations`);
  await pool.end();
}

async function sequelize() {
  const { Sequelize, DataTypes, Op } = require('sequelize');
  const parts = new URL(url);
  const db = new Sequelize('app', 'app', 'app', {
    dialect: 'postgres', host: parts.hostname, port: parts.port, logging: false, pool: { max: 2 },
    dialectOptions: { options: parts.searchParams.get('options') },
  });
  const Note = db.define('js_note', {
    owner: { type: DataTypes.STRING, allowNull: false }, n: { type: DataTypes.INTEGER, unique: true },
    // An ENUM would be made in public, by DO, even with another path.
    kind: { type: DataTypes.STRING, defaultValue: 'long' }, extra: DataTypes.JSONB,
  });
  const Line = db.define('js_line', { text: DataTypes.TEXT });
  Note.hasMany(Line, { onDelete: 'CASCADE' });
  await db.authenticate();
  await db.sync();
  const described = await db.getQueryInterface().describeTable({ tableName: 'js_notes', schema: tenant });
  assert.deepStrictEqual([described.id.primaryKey, described.owner.allowNull, described.kind.defaultValue], [true, false, 'long']);
  await Note.bulkCreate(numbers(20).map((n) => ({ owner: tenant, n, extra: { n } })));
  const note = await Note.create({ owner: tenant, n: 21, js_lines: [{ text: tenant }] }, { include: Line });
  assert.strictEqual(note.id, 21);
  assert.strictEqual((await Note.findOne({ where: { n: 21 }, include: Line })).js_lines[0].text, tenant);
  assert.strictEqual(await Note.count({ where: { owner: tenant, n: { [Op.gt]: 10 } } }), 11);
  assert.deepStrictEqual((await Note.update({ kind: 'short' }, { where: { n: 3 } })), [1]);
  await assert.rejects(Note.create({ owner: tenant, n: 1 }), /Validation error/);
  await assert.rejects(db.query('SELECT * FROM js_missing'), code('42P01'));
  await assert.rejects(db.transaction(async (transaction) => {
    await Note.destroy({ where: {}, transaction });
    throw new Error('undone');
  }), /undone/);
  const [rows] = await db.query('SELECT owner FROM js_notes WHERE n = $n', { bind: { n: 4 } });
  assert.deepStrictEqual(rows, [{ owner: tenant }]);
  await Note.upsert({ owner: tenant, n: 1, kind: 'short' }, { conflictFields: ['n'] });
  await Line.drop();
  await Note.drop();
  await db.close();
}

async function knex() {
  const db = require('knex')({ client: 'pg', connection: url, pool: { min: 0, max: 2 } });
  const source = { getMigrations: async () => ['1'], getMigrationName: (name) => name, getMigration: async () => ({
    up: (trx) => trx.schema.createTable('js_notes', (table) => {
      table.increments('id');
      table.text('owner').notNullable();
      table.integer('n').unique();
      table.jsonb('extra');
    }),
    down: (trx) => trx.schema.dropTable('js_notes'),
  }) };
  await db.migrate.latest({ migrationSource: source });
  assert.strictEqual(await db.schema.hasTable('js_notes'), true);
  assert.deepStrictEqual(await db('js_notes').insert({ owner: tenant, n: 1 }).returning('id'), [{ id: 1 }]);
  await db.batchInsert('js_notes', numbers(100).map((n) => ({ owner: tenant, n: n + 1 })), 30);
  assert.deepStrictEqual(await db('js_notes').distinct('owner'), [{ owner: tenant }]);
  await Promise.all(numbers(20).map(async (n) => assert.deepStrictEqual(await db('js_notes').where({ n }).pluck('owner'), [tenant])));
  await assert.rejects(db('js_notes').insert({ owner: tenant, n: 1 }), code('23505'));
  await db.transaction(async (trx) => {
    await assert.rejects(trx.transaction(async (inner) => {
      await inner('js_notes').del();
      throw new Error('undone');
    }), /undone/);
    assert.deepStrictEqual(await trx('js_notes').count(), [{ count: '101' }]);
  });
  assert.strictEqual((await db('js_notes').columnInfo()).n.type, 'integer');
  await db.migrate.rollback({ migrationSource: source });
  await db.destroy();
}

async function postgres() {
  const parts = new URL(url);
  const options = parts.searchParams.get('options');
  // It sends start-up parameters by `connection`.
  const sql = require('postgres')({ host: parts.hostname, port: parts.port, database: 'app', user: 'app', password: 'app', max: 2, connection: { options }, onnotice: () => {} });
  await sql.unsafe(CREATE);
  const added = await sql`INSERT INTO js_notes ${sql(numbers(20).map((n) => ({ owner: tenant, n, extra: { n } })), 'owner', 'n', 'extra')} RETURNING id`;
  assert.strictEqual(added.length, 20);
  await Promise.all(numbers(40).map(async (n) => {
    const rows = await sql`SELECT owner FROM js_notes WHERE n = ${(n % 20) + 1}`;
    assert.deepStrictEqual([...rows], [{ owner: tenant }]);
  }));
  await assert.rejects(sql`INSERT INTO js_notes (owner, n) VALUES (${tenant}, 1)`, code('23505'));
  await assert.rejects(sql`SELECT * FROM js_missing`, code('42P01'));
  await sql.begin(async (tx) => {
    await assert.rejects(tx.savepoint(async (inner) => {
      await inner`DELETE FROM js_notes`;
      throw new Error('undone');
    }), /undone/);
    assert.strictEqual((await tx`SELECT n FROM js_notes`).length, 20);
  });
  for await (const rows of sql`SELECT owner FROM js_notes`.cursor(7)) assert.ok(rows.every((row) => row.owner === tenant));
  const { pipeline } = require('node:stream/promises');
  const { Readable } = require('node:stream');
  await pipeline(Readable.from([`${tenant}\t100\n`, `${tenant}\t101\n`]), await sql`COPY js_notes (owner, n) FROM STDIN`.writable());
  let copied = '';
  for await (const chunk of await sql`COPY (SELECT n FROM js_notes WHERE n >= 100 ORDER BY n) TO STDOUT`.readable()) copied += chunk;
  assert.strictEqual(copied, '100\n101\n');
  const heard = new Promise((resolve) => { sql.listen('js_news', resolve, () => sql.notify('js_news', tenant)); });
  assert.strictEqual(await heard, tenant);
  await sql`DROP TABLE js_notes`;
  await sql.end();
}

({ kysely, drizzle, sequelize, knex, postgres })[library]().catch((error) => {
  console.error(error);
  process.exit(1);
});
