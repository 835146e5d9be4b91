<?php
// PHP as its users write it, PDO and then pg_*: the arguments are the tenant's URL and its name.
declare(strict_types=1);

[, $url, $tenant] = $argv;
$parts = parse_url($url);
parse_str($parts['query'], $query);

function check(bool $holds, string $what): void
{
    if (!$holds) {
        throw new RuntimeException("failed: $what");
    }
}

function same(mixed $found, mixed $expected, string $what): void
{
    check($found === $expected, "$what: found " . var_export($found, true) . ', expected ' . var_export($expected, true));
}

function fails(string $state, callable $work): void
{
    try {
        $work();
    } catch (PDOException $error) {
        same($error->getCode(), $state, $error->getMessage());
        return;
    }
    throw new RuntimeException("SQLSTATE $state expected");
}

function pdo(array $parts, array $query, array $options = []): PDO
{
    $dsn = "pgsql:host={$parts['host']};port={$parts['port']};dbname=app;options='{$query['options']}'";
    return new PDO($dsn, $parts['user'], $parts['pass'], $options + [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function rows(PDO $pdo, string $sql, array $values = []): array
{
    $statement = $pdo->prepare($sql);
    $statement->execute($values);
    return $statement->fetchAll(PDO::FETCH_NUM);
}

function withPdo(PDO $pdo, string $tenant, bool $lastInsertId = true): void
{
    $pdo->exec('DROP TABLE IF EXISTS php_notes');
    $pdo->exec('CREATE TABLE php_notes (id serial PRIMARY KEY, owner text NOT NULL, n integer UNIQUE, done boolean DEFAULT false, raw bytea)');
    $insert = $pdo->prepare('INSERT INTO php_notes (owner, n) VALUES (:owner, :n) RETURNING id');
    for ($n = 1; $n <= 30; $n++) {
        $insert->execute(['owner' => $tenant, 'n' => $n]);
        same($insert->fetchColumn(), $n, 'RETURNING id');
    }
    same(rows($pdo, 'SELECT DISTINCT owner FROM php_notes'), [[$tenant]], 'owners');
    same(rows($pdo, 'SELECT n FROM php_notes WHERE n > ? AND n <= ? ORDER BY n', [3, 5]), [[4], [5]], 'positions');
    fails('23505', fn () => $insert->execute(['owner' => $tenant, 'n' => 1]));
    fails('42P01', fn () => $pdo->query('SELECT * FROM php_missing'));
    fails('22P02', fn () => rows($pdo, 'SELECT * FROM php_notes WHERE n = ?', ['x']));

    $pdo->beginTransaction();
    $pdo->exec("INSERT INTO php_notes (owner, n) VALUES ('$tenant', 100)");
    // It ties the connection to its server, which a persistent one would keep.
    if ($lastInsertId) {
        same((int) $pdo->lastInsertId(), (int) rows($pdo, 'SELECT max(id) FROM php_notes')[0][0], 'lastInsertId');
        same($pdo->lastInsertId('php_notes_id_seq'), $pdo->lastInsertId(), 'lastInsertId of a sequence');
    }
    $pdo->exec('SAVEPOINT one');
    fails('23505', fn () => $pdo->exec("INSERT INTO php_notes (owner, n) VALUES ('$tenant', 100)"));
    $pdo->exec('ROLLBACK TO SAVEPOINT one');
    same(rows($pdo, 'SELECT count(*) FROM php_notes')[0][0], 31, 'rows in the transaction');
    $pdo->rollBack();
    same(rows($pdo, 'SELECT count(*) FROM php_notes')[0][0], 30, 'rows after ROLLBACK');

    $typed = $pdo->prepare('UPDATE php_notes SET done = :done, raw = :raw WHERE n = :n');
    $typed->bindValue('done', true, PDO::PARAM_BOOL);
    $typed->bindValue('raw', "\0\1\2", PDO::PARAM_LOB);
    $typed->bindValue('n', 7, PDO::PARAM_INT);
    $typed->execute();
    same($typed->rowCount(), 1, 'rowCount');
    $row = $pdo->query('SELECT done, raw FROM php_notes WHERE n = 7')->fetch(PDO::FETCH_ASSOC);
    same([$row['done'], stream_get_contents($row['raw'])], [true, "\0\1\2"], 'types');

    $columns = $pdo->query('SELECT id, owner FROM php_notes LIMIT 1');
    same($columns->getColumnMeta(1)['table'], 'php_notes', 'the table of a column');
    check($pdo->pgsqlCopyFromArray('php_notes', ["500\t$tenant\t500\tf\t\\N"], "\t", '\\\\N') === true, 'COPY from an array');
    same(count($pdo->pgsqlCopyToArray('php_notes')), 31, 'COPY to an array');
    same($pdo->exec('DELETE FROM php_notes WHERE n > 10'), 21, 'deleted');
    $pdo->beginTransaction();
    $cursor = $pdo->prepare('SELECT n FROM php_notes ORDER BY n', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    $cursor->execute();
    same($cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST), [10], 'the last row');
    same($cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 2), [2], 'the second row');
    $cursor = null;
    $pdo->commit();
}

function withPg(string $url, string $tenant): void
{
    // PHP looks in public for a table without a schema.
    $table = "$tenant.php_notes";
    $connection = pg_connect($url, PGSQL_CONNECT_FORCE_NEW);
    same(pg_fetch_result(pg_query($connection, 'SELECT current_schema()'), 0, 0), $tenant, 'schema');
    pg_prepare($connection, 'one', 'SELECT n FROM php_notes WHERE owner = $1 AND n = $2');
    for ($n = 1; $n <= 10; $n++) {
        same(pg_fetch_all_columns(pg_execute($connection, 'one', [$tenant, $n])), [(string) $n], 'pg_execute');
    }
    same(pg_affected_rows(pg_query_params($connection, 'UPDATE php_notes SET done = $1', ['t'])), 10, 'pg_query_params');
    check(array_key_exists('owner', pg_meta_data($connection, $table)), 'pg_meta_data');
    check(pg_insert($connection, $table, ['owner' => $tenant, 'n' => 77]) !== false, 'pg_insert');
    same(count(pg_select($connection, $table, ['n' => 77])), 1, 'pg_select');
    check(pg_update($connection, $table, ['n' => 78], ['n' => 77]), 'pg_update');
    check(pg_delete($connection, $table, ['n' => 78]), 'pg_delete');
    check(pg_copy_from($connection, 'php_notes', ["900\t$tenant\t900\tf\t\\N\n"]), 'pg_copy_from');
    same(count(pg_copy_to($connection, 'php_notes')), 11, 'pg_copy_to');
    check(pg_send_query_params($connection, 'SELECT 1 / $1::int', ['0']), 'asynchronous');
    $result = pg_get_result($connection);
    same(pg_result_error_field($result, PGSQL_DIAG_SQLSTATE), '22012', 'division by zero');
    check(pg_get_result($connection) === false, 'one result');
    pg_query($connection, 'DELETE FROM php_notes');
    check(pg_close($connection), 'pg_close');
}

// Behind an INSERT that is a transaction by itself. The proxy learns from the first connection that somebody asks.
function lastIds(array $parts, array $query): void
{
    $first = pdo($parts, $query);
    $first->exec('DROP TABLE IF EXISTS php_draws');
    $first->exec('CREATE TABLE php_draws (id serial PRIMARY KEY, name text UNIQUE)');
    try {
        $first->exec("INSERT INTO php_draws (name) VALUES ('first')");
        $first->lastInsertId();
    } catch (PDOException $error) {
        same($error->getCode(), '55000', $error->getMessage());
    }
    unset($first);
    $all = [];
    for ($n = 0; $n < 30; $n++) {
        $all[] = $pdo = pdo($parts, $query);
        $pdo->exec("INSERT INTO php_draws (name) VALUES ('n$n')");
        // Another one uses the servers in between.
        rows($all[0], 'SELECT count(*) FROM php_draws');
        $id = rows($pdo, 'SELECT id FROM php_draws WHERE name = ?', ["n$n"])[0][0];
        same((int) $pdo->lastInsertId(), $id, 'lastInsertId of a connection');
        $insert = $pdo->prepare('INSERT INTO php_draws (name) VALUES (?)');
        $insert->execute(["p$n"]);
        $id = rows($pdo, 'SELECT id FROM php_draws WHERE name = ?', ["p$n"])[0][0];
        same((int) $pdo->lastInsertId(), $id, 'lastInsertId behind a prepared statement');
    }
}

withPdo(pdo($parts, $query), $tenant);
withPdo(pdo($parts, $query, [PDO::ATTR_EMULATE_PREPARES => true]), $tenant);
withPdo(pdo($parts, $query, [PDO::PGSQL_ATTR_DISABLE_PREPARES => true]), $tenant);
withPdo(pdo($parts, $query, [PDO::ATTR_PERSISTENT => true]), $tenant, lastInsertId: false);
lastIds($parts, $query);
withPg($url, $tenant);
