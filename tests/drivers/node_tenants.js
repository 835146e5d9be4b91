// node-postgres as applications use it: the arguments are acme_corp's and globex's URLs.
'use strict';

const assert = require('node:assert');
const { Client, Pool } = require('pg');

const [urlAcme, urlGlobex] = process.argv.slice(2);
const ACME = ['Alice', 'Bob', 'Carol'];
const GLOBEX = ['Hank', 'Mindy'];
const NAMES = 'SELECT name FROM users ORDER BY id';

const names = async (client) => (await client.query(NAMES)).rows.map((row) => row.name);

async function interleaved(acme, globex) {
  for (let round = 0; round < 10; round += 1) {
    assert.deepStrictEqual(await names(acme), ACME);
    assert.deepStrictEqual(await names(globex), GLOBEX);
  }
}

async function namedStatements(acme, globex) {
  const one = (client, id) =>
    client.query({ name: 'one-user', text: 'SELECT name FROM users WHERE id = $1', values: [id] });
  for (let round = 0; round < 10; round += 1) {
    const [mine, theirs] = await Promise.all([one(acme, 1), one(globex, 1)]);
    assert.strictEqual(mine.rows[0].name, 'Alice');
    assert.strictEqual(theirs.rows[0].name, 'Hank');
  }
}

async function transactions(acme, globex) {
  await acme.query('BEGIN');
  await acme.query('INSERT INTO users (name, email) VALUES ($1, $2)', ['Dora', 'dora@acme.example']);
  assert.deepStrictEqual(await names(globex), GLOBEX);
  assert.deepStrictEqual(await names(acme), [...ACME, 'Dora']);
  await acme.query('ROLLBACK');
  assert.deepStrictEqual(await names(acme), ACME);
}

async function errors(acme, globex) {
  await assert.rejects(acme.query('SELECT * FROM missing'), (error) => {
    assert.strictEqual(error.code, '42P01');
    assert.strictEqual(error.message, 'relation "missing" does not exist');
    assert.strictEqual(error.position, '15');
    return true;
  });
  assert.deepStrictEqual(await names(acme), ACME);
  assert.deepStrictEqual(await names(globex), GLOBEX);
}

async function pools() {
  const acme = new Pool({ connectionString: urlAcme, max: 5 });
  const globex = new Pool({ connectionString: urlGlobex, max: 5 });
  const jobs = [];
  for (let round = 0; round < 50; round += 1) {
    jobs.push(names(acme).then((found) => assert.deepStrictEqual(found, ACME)));
    jobs.push(names(globex).then((found) => assert.deepStrictEqual(found, GLOBEX)));
  }
  await Promise.all(jobs);
  await Promise.all([acme.end(), globex.end()]);
}

async function main() {
  const acme = new Client({ connectionString: urlAcme });
  const globex = new Client({ connectionString: urlGlobex });
  await Promise.all([acme.connect(), globex.connect()]);
  for (const step of [interleaved, namedStatements, transactions, errors]) {
    try {
      await step(acme, globex);
    } catch (error) {
      console.error(`${step.name} failed`);
      throw error;
    }
  }
  await Promise.all([acme.end(), globex.end()]);
  await pools();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
