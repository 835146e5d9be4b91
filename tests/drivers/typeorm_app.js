// An application on TypeORM: the arguments are acme_corp's and globex's URLs.
'use strict';

const assert = require('node:assert');
const { DataSource, EntitySchema, In, Like, MoreThan, Not } = require('typeorm');

const TENANTS = ['acme_corp', 'globex'];
const PUBLIC = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1";

const Author = new EntitySchema({
  name: 'Author',
  tableName: 'authors',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    name: { type: 'varchar', length: 100, unique: true },
    rank: { type: 'enum', enum: ['junior', 'senior'], default: 'junior' },
    extra: { type: 'jsonb', default: {} },
    joined: { type: 'timestamptz', createDate: true },
    version: { type: 'int', version: true },
  },
  relations: { articles: { type: 'one-to-many', target: 'Article', inverseSide: 'author', cascade: true } },
});

const Article = new EntitySchema({
  name: 'Article',
  tableName: 'articles',
  columns: {
    id: { type: 'bigint', primary: true, generated: true },
    title: { type: 'text' },
    words: { type: 'int', default: 0 },
    keywords: { type: 'text', array: true, default: [] },
  },
  relations: {
    author: { type: 'many-to-one', target: 'Author', inverseSide: 'articles', onDelete: 'CASCADE', nullable: false },
    labels: { type: 'many-to-many', target: 'Label', joinTable: { name: 'article_labels' }, cascade: true },
  },
  indices: [{ name: 'articles_words', columns: ['words'] }],
  checks: [{ name: 'words_not_negative', expression: '"words" >= 0' }],
});

const Label = new EntitySchema({
  name: 'Label',
  tableName: 'labels',
  columns: { id: { type: 'int', primary: true, generated: true }, name: { type: 'varchar', unique: true } },
});

class AddNotes1700000000000 {
  async up(runner) {
    await runner.query('CREATE TABLE "notes" ("id" SERIAL PRIMARY KEY, "text" text NOT NULL, "author" integer REFERENCES "authors" ("id"))');
    await runner.query("INSERT INTO notes (text) VALUES ('first')");
  }
  async down(runner) {
    await runner.dropTable('notes');
  }
}

class WidenNotes1700000000001 {
  async up(runner) {
    const table = await runner.getTable('notes');
    assert.deepStrictEqual(table.columns.map((column) => column.name).sort(), ['author', 'id', 'text']);
    assert.strictEqual(table.foreignKeys[0].referencedTableName, 'authors');
    await runner.query('ALTER TABLE "notes" ADD "stars" integer NOT NULL DEFAULT 3');
    await runner.query('CREATE INDEX "notes_stars" ON "notes" ("stars")');
  }
  async down(runner) {
    await runner.query('ALTER TABLE "notes" DROP COLUMN "stars"');
  }
}

const both = (sources, work) => Promise.all(sources.map((source, index) => work(source, TENANTS[index])));

async function synchronize(sources) {
  for (const [index, source] of sources.entries()) {
    for (const other of sources.slice(index)) {
      await assert.rejects(other.query('SELECT * FROM articles'), { code: '42P01' });
    }
    await source.synchronize();
    const again = await source.driver.createSchemaBuilder().log();
    assert.deepStrictEqual(again.upQueries.map((query) => query.query), []);
    assert.deepStrictEqual(await source.query('SELECT current_schema() AS s'), [{ s: TENANTS[index] }]);
  }
}

async function migrations(sources) {
  for (const source of sources) {
    assert.strictEqual((await source.runMigrations({ transaction: 'each' })).length, 2);
    assert.strictEqual((await source.runMigrations()).length, 0);
    assert.deepStrictEqual(await source.query('SELECT text, stars FROM notes'), [{ text: 'first', stars: 3 }]);
  }
  await sources[0].undoLastMigration();
  await sources[0].undoLastMigration();
  await assert.rejects(sources[0].query('SELECT * FROM notes'), { code: '42P01' });
  assert.strictEqual((await sources[1].query('SELECT * FROM notes')).length, 1);
}

async function repositories(sources) {
  await both(sources, async (source, tenant) => {
    const authors = source.getRepository('Author');
    const labels = await source.getRepository('Label').save(['a', 'b'].map((name) => ({ name: `${tenant} ${name}` })));
    const articles = Array.from({ length: 5 }, (_, words) => ({ title: `${tenant} ${words}`, words, keywords: [tenant], labels }));
    const saved = await authors.save(authors.create({ name: tenant, extra: { tenant }, articles }));
    assert.strictEqual(saved.articles.length, 5);
    const found = await authors.findOne({ where: { name: tenant }, relations: { articles: { labels: true } }, order: { articles: { words: 'ASC' } } });
    assert.deepStrictEqual(found.articles.map((article) => article.title), articles.map((article) => article.title));
    assert.deepStrictEqual(found.articles[0].labels.map((label) => label.name).sort(), labels.map((label) => label.name));
    found.rank = 'senior';
    assert.strictEqual((await authors.save(found)).version, 2);
    const repository = source.getRepository('Article');
    assert.deepStrictEqual(await repository.findAndCount({ where: { words: MoreThan(2), title: Like(`${tenant}%`) }, take: 1 }).then(([, n]) => n), 2);
    assert.strictEqual(await repository.countBy({ words: Not(In([0, 1])) }), 3);
    await repository.increment({ words: 0 }, 'words', 10);
    await authors.upsert([{ name: tenant, rank: 'junior' }, { name: 'new' }], ['name']);
    assert.strictEqual(await authors.count(), 2);
    await assert.rejects(authors.insert({ name: tenant }), { code: '23505' });
    await assert.rejects(repository.update({ words: 10 }, { words: -1 }), { code: '23514' });
    await authors.delete({ name: 'new' });
  });
}

async function queryBuilders(sources) {
  await both(sources, async (source, tenant) => {
    const sums = await source
      .getRepository('Article')
      .createQueryBuilder('article')
      .innerJoin('article.author', 'author')
      .select(['author.name AS name', 'SUM(article.words)::int AS words'])
      .where('article.keywords @> :keywords', { keywords: [tenant] })
      .groupBy('author.name')
      .getRawMany();
    assert.deepStrictEqual(sums, [{ name: tenant, words: 20 }]);
    const page = await source.manager.createQueryBuilder('Author', 'author').leftJoinAndSelect('author.articles', 'article').skip(0).take(1).getMany();
    assert.strictEqual(page[0].articles.length, 5);
    const updated = await source.createQueryBuilder().update('Article').set({ words: () => 'words + 1' }).returning('words').execute();
    assert.strictEqual(updated.affected, 5);
    const stream = await source.getRepository('Article').createQueryBuilder('article').stream();
    let seen = 0;
    for await (const row of stream) {
      assert(row.article_title.startsWith(tenant));
      seen += 1;
    }
    assert.strictEqual(seen, 5);
  });
}

async function transactions(sources) {
  await both(sources, async (source, tenant) => {
    const count = () => source.getRepository('Author').count();
    const failure = new Error('on purpose');
    const outer = source.transaction('SERIALIZABLE', async (manager) => {
      await manager.insert('Author', { name: 'outer' });
      const inner = manager.transaction(async (nested) => {
        await nested.insert('Author', { name: 'inner' });
        await nested.insert('Author', { name: tenant });
      });
      await assert.rejects(inner, { code: '23505' });
      assert.strictEqual(await manager.count('Author'), 2);
      const locked = await manager.findOne('Author', { where: { name: tenant }, lock: { mode: 'pessimistic_write' } });
      assert.strictEqual(locked.extra.tenant, tenant);
      throw failure;
    });
    await assert.rejects(outer, failure);
    assert.strictEqual(await count(), 1);
    const jobs = Array.from({ length: 25 }, (_, number) =>
      source.transaction(async (manager) => {
        await manager.insert('Label', { name: `${tenant} job ${number}` });
        assert.deepStrictEqual(await manager.query('SELECT current_schema() AS s'), [{ s: tenant }]);
      }),
    );
    await Promise.all(jobs);
    assert.strictEqual(await source.getRepository('Label').count(), 27);
  });
}

async function drop(sources) {
  await sources[0].query('DROP TABLE migrations');
  await sources[1].undoLastMigration();
  await sources[1].undoLastMigration();
  await sources[1].query('DROP TABLE migrations');
  for (const source of sources) {
    await source.query('DROP TABLE article_labels, articles, labels, authors');
    await source.query('DROP TYPE authors_rank_enum');
  }
}

async function main() {
  const sources = process.argv.slice(2, 4).map((url) => {
    const entities = [Author, Article, Label];
    const migrationsOfApp = [AddNotes1700000000000, WidenNotes1700000000001];
    return new DataSource({ type: 'postgres', url, entities, migrations: migrationsOfApp, poolSize: 4 });
  });
  for (const source of sources) await source.initialize();
  const before = await sources[0].query(PUBLIC);
  for (const step of [synchronize, migrations, repositories, queryBuilders, transactions, drop]) {
    try {
      await step(sources);
    } catch (error) {
      console.error(`${step.name} failed`);
      throw error;
    }
    console.log(`${step.name} passed`);
  }
  assert.deepStrictEqual(await sources[1].query(PUBLIC), before);
  for (const source of sources) await source.destroy();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
