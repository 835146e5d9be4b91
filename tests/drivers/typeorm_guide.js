// The code of docs/guides/typeorm.md: the arguments are a URL and its tenant, or a URL with no tenant, the word `switch`
// and the users of each tenant as JSON.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const [, , address, tenant, users] = process.argv;
const url = new URL(address);

// The block of the guide that begins with this comment.
function fromGuide(name) {
  const guide = fs.readFileSync(path.join(__dirname, '../../docs/guides/typeorm.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```js\n(\/\/ (.*)\n[^]*?)^```$/gm)];
  const block = blocks.find((block) => block[2] === name);
  assert(block, `the guide has no block ${name}`);
  return block[1];
}

const ENTITIES = `
  const { EntitySchema } = require('typeorm');
  exports.User = new EntitySchema({
    name: 'User',
    tableName: 'users',
    columns: { id: { type: 'int', primary: true, generated: true }, name: { type: 'text' }, email: { type: 'text' } },
  });
  exports.entities = [exports.User];
`;

async function main(folder) {
  fs.writeFileSync(path.join(folder, 'entities.js'), ENTITIES);
  for (const file of ['data-source.js', 'for-tenant.js']) fs.writeFileSync(path.join(folder, file), fromGuide(file));
  process.env.DB_HOST = url.hostname;
  process.env.DB_PORT = url.port;
  process.env.DB_PASSWORD = url.password;
  process.env.TENANT = tenant;
  const { dataSource } = require(path.join(folder, 'data-source.js'));
  const { forTenant } = require(path.join(folder, 'for-tenant.js'));
  const { User } = require(path.join(folder, 'entities.js'));
  if (tenant === 'switch') {
    delete dataSource.options.extra.options;
    await dataSource.initialize();
    const body = fromGuide('example.js').replace('"acme_corp"', 'tenant');
    const example = new Function('forTenant', 'dataSource', 'User', 'tenant', `return (async () => { ${body}; return users; })()`);
    for (let round = 0; round < 5; round++) {
      const answers = Object.entries(JSON.parse(users)).map(async ([tenant, names]) => {
        const found = await example(forTenant, dataSource, User, tenant);
        assert.deepStrictEqual(found.map((user) => user.name), names);
      });
      await Promise.all(answers);
    }
    await assert.rejects(forTenant(dataSource, "nobody'", (manager) => manager.find(User)), { code: '42501' });
  } else {
    await dataSource.initialize();
    const [{ schema }] = await dataSource.query('SELECT current_schema() AS schema');
    assert.strictEqual(schema, tenant);
    const repository = dataSource.getRepository(User);
    const saved = await repository.save({ name: 'by TypeORM', email: 'orm@example.com' });
    assert.strictEqual((await repository.findOneByOrFail({ id: saved.id })).name, 'by TypeORM');
    await repository.delete({ id: saved.id });
  }
  await dataSource.destroy();
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'typeorm-guide-'));
main(folder)
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(() => fs.rmSync(folder, { recursive: true }));
