// Prisma's client without an engine, over node-postgres, as docs/guides/prisma-drizzle.md has it: the arguments are the
// folder of the generated client, a URL and its tenant. With the folder alone, the client is generated there.
'use strict';

const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const [, , folder, address, tenant] = process.argv;

const SCHEMA = `
generator client {
  provider   = "prisma-client-js"
  engineType = "client"
  output     = "client"
}

datasource db {
  provider = "postgresql"
}

model User {
  id    Int     @id @default(autoincrement())
  name  String
  email String  @unique
  posts Post[]
  @@map("users")
}

model Post {
  id     Int    @id @default(autoincrement())
  userId Int    @map("user_id")
  title  String
  user   User   @relation(fields: [userId], references: [id])
  @@map("posts")
}
`;

// The block of the guide that begins with this comment.
function fromGuide(name) {
  const guide = fs.readFileSync(path.join(__dirname, '../../docs/guides/prisma-drizzle.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```js\n(\/\/ (.*)\n[^]*?)^```$/gm)];
  const block = blocks.find((block) => block[2] === name);
  assert(block, `the guide has no block ${name}`);
  return block[1];
}

function generate() {
  fs.writeFileSync(path.join(folder, 'schema.prisma'), SCHEMA);
  const program = require.resolve('prisma/build/index.js');
  // Its packages are looked up from the schema on.
  fs.symlinkSync(path.resolve(program, '../../..'), path.join(folder, 'node_modules'));
  // The schema engine is a download, and no part of this.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1' };
  const args = [program, 'generate', '--schema', path.join(folder, 'schema.prisma')];
  execFileSync(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit'] });
}

async function queries(db) {
  const name = `by Prisma of ${tenant}`;
  const email = 'a@example.com';
  const before = await db.user.count();
  assert(before > 0);
  const made = await db.user.create({
    data: { name, email, posts: { create: [{ title: 'one' }, { title: 'two' }] } },
    include: { posts: true },
  });
  assert.strictEqual(made.posts.length, 2);
  const found = await db.user.findUniqueOrThrow({ where: { id: made.id }, include: { posts: { orderBy: { title: 'desc' } } } });
  assert.deepStrictEqual(found.posts.map((post) => post.title), ['two', 'one']);
  assert.strictEqual((await db.post.createMany({ data: [{ userId: made.id, title: 'three' }] })).count, 1);
  const grouped = await db.post.groupBy({ by: ['userId'], where: { userId: made.id }, _count: { _all: true } });
  assert.deepStrictEqual(grouped, [{ userId: made.id, _count: { _all: 3 } }]);
  const kept = await db.user.upsert({ where: { id: made.id }, create: { name, email }, update: { email: 'b@example.com' } });
  assert.strictEqual(kept.email, 'b@example.com');
  const [{ schema }] = await db.$queryRaw`SELECT current_schema() AS schema`;
  assert.strictEqual(schema, tenant);
  assert.strictEqual(await db.$executeRaw`UPDATE users SET email = ${email} WHERE id = ${made.id}`, 1);
  return { before, id: made.id };
}

async function transactions(db, { before, id }) {
  const [posts, users] = await db.$transaction([db.post.deleteMany({ where: { userId: id } }), db.user.count()]);
  assert.deepStrictEqual([posts.count, users], [3, before + 1]);
  const undone = db.$transaction(async (tx) => {
    await tx.user.update({ where: { id }, data: { name: 'undone' } });
    assert.strictEqual((await tx.user.findUniqueOrThrow({ where: { id } })).name, 'undone');
    throw new Error('undo');
  });
  await assert.rejects(undone, /undo/);
  assert.notStrictEqual((await db.user.findUniqueOrThrow({ where: { id } })).name, 'undone');
  await assert.rejects(db.user.create({ data: { id, name: 'twice', email: 'c@example.com' } }), { code: 'P2002' });
  const level = { isolationLevel: 'Serializable' };
  await db.$transaction(async (tx) => assert.strictEqual((await tx.user.delete({ where: { id } })).id, id), level);
  assert.strictEqual(await db.user.count(), before);
}

async function main() {
  if (!address) return generate();
  const url = new URL(address);
  process.env.DATABASE_URL = address;
  process.env.TENANT = tenant;
  const client = path.join(folder, 'client');
  const make = new Function('require', `${fromGuide('prisma.js')}; return db;`);
  const db = make((name) => require(name === './client' ? client : name));
  for (let round = 0; round < 3; round++) await transactions(db, await queries(db));
  await db.$disconnect();
  // Another tenant's schema is refused, whatever the adapter is told.
  const { PrismaPg } = require('@prisma/adapter-pg');
  const { PrismaClient } = require(client);
  const other = tenant === 'globex' ? 'acme_corp' : 'globex';
  const adapter = new PrismaPg({ connectionString: url.href }, { schema: other });
  const foreign = new PrismaClient({ adapter });
  await assert.rejects(foreign.user.count(), /permission denied/);
  await foreign.$disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
