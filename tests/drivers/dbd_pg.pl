# Perl's DBD::Pg as its users write it: the arguments are the tenant's URL and its name.
use strict;
use warnings;
use DBI qw(:sql_types);
use DBD::Pg qw(:pg_types :async);

my ($url, $tenant) = @ARGV;
my ($user, $password, $host, $port, $options) = $url =~ m{//(\w+):(\w+)\@([\d.]+):(\d+)/app\?options=(.*)};
$options =~ s/%3D/=/;

sub check { my ($holds, $what) = @_; die "failed: $what" unless $holds; }

sub same {
    my ($found, $expected, $what) = @_;
    die "$what: found " . ($found // 'undef') . ", expected $expected" unless defined $found && $found eq $expected;
}

sub fails {
    my ($handle, $state, $work) = @_;
    check(!defined eval { $work->(); 1 }, "SQLSTATE $state expected");
    same($handle->state, $state, $@);
}

my $dsn = "dbi:Pg:dbname=app;host=$host;port=$port;options='$options'";
my $dbh = DBI->connect($dsn, $user, $password, { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
$dbh->do('SET client_min_messages TO warning');
$dbh->do('DROP TABLE IF EXISTS perl_notes');
$dbh->do('CREATE TABLE perl_notes (id serial PRIMARY KEY, owner text NOT NULL, n integer UNIQUE, tags text[], raw bytea)');

my $insert = $dbh->prepare('INSERT INTO perl_notes (owner, n) VALUES (?, ?) RETURNING id');
for my $n (1 .. 30) {
    $insert->execute($tenant, $n);
    same($insert->fetchrow_array, $n, 'RETURNING id');
}
same(join(',', @{ $dbh->selectcol_arrayref('SELECT DISTINCT owner FROM perl_notes') }), $tenant, 'owners');
fails($dbh, '42P01', sub { $dbh->do('SELECT * FROM perl_missing') });
fails($dbh, '23505', sub { $dbh->do('INSERT INTO perl_notes (owner, n) VALUES (?, ?)', undef, $tenant, 1) });

# Statements are prepared on the server at once, never, or by the driver's own judgement.
for my $server (0, 1, 2) {
    my $one = $dbh->prepare('SELECT owner, n FROM perl_notes WHERE n = $1', { pg_server_prepare => $server, pg_switch_prepared => 1 });
    for my $n (1 .. 8) {
        $one->execute($n);
        same(join(',', $one->fetchrow_array), "$tenant,$n", 'a row');
        $one->finish;
    }
}

$dbh->begin_work;
$dbh->do('INSERT INTO perl_notes (owner, n) VALUES (?, ?)', undef, $tenant, 100);
same(scalar $dbh->selectrow_array('SELECT lastval()'), 32, 'lastval');
same($dbh->last_insert_id(undef, $tenant, 'perl_notes', undef), 32, 'last_insert_id of a table');
same($dbh->last_insert_id(undef, undef, undef, undef, { sequence => 'perl_notes_id_seq' }), 32, 'last_insert_id of a sequence');
$dbh->pg_savepoint('one');
fails($dbh, '23505', sub { $dbh->do('INSERT INTO perl_notes (owner, n) VALUES (?, ?)', undef, $tenant, 100) });
$dbh->pg_rollback_to('one');
same(scalar $dbh->selectrow_array('SELECT count(*) FROM perl_notes'), 31, 'rows in the transaction');
$dbh->rollback;
same(scalar $dbh->selectrow_array('SELECT count(*) FROM perl_notes'), 30, 'rows after ROLLBACK');

my $typed = $dbh->prepare('UPDATE perl_notes SET tags = ?, raw = ? WHERE n = ?');
$typed->bind_param(1, [ 'a', 'b c' ]);
$typed->bind_param(2, "\0\1\2", { pg_type => PG_BYTEA });
$typed->bind_param(3, 7, SQL_INTEGER);
same($typed->execute, 1, 'updated');
my $row = $dbh->selectrow_hashref('SELECT tags, raw FROM perl_notes WHERE n = 7');
same(join('|', @{ $row->{tags} }) . $row->{raw}, "a|b c\0\1\2", 'types');

$dbh->do('COPY perl_notes (owner, n) FROM STDIN');
$dbh->pg_putcopydata("$tenant\t$_\n") for 1001 .. 2000;
$dbh->pg_putcopyend;
$dbh->do('COPY (SELECT n FROM perl_notes) TO STDOUT');
my ($line, $lines) = ('', 0);
$lines++ while $dbh->pg_getcopydata($line) >= 0;
same($lines, 1030, 'COPY');
same($dbh->do('DELETE FROM perl_notes WHERE n > 30'), 1000, 'deleted');

$dbh->do('SELECT owner FROM perl_notes WHERE n = 1', { pg_async => PG_ASYNC });
check($dbh->pg_result, 'asynchronous');
$insert->finish;

same(join(',', map { $_->[3] } @{ $dbh->column_info(undef, $tenant, 'perl_notes', '%')->fetchall_arrayref }), 'id,owner,n,tags,raw', 'column_info');
same(join(',', $dbh->primary_key(undef, $tenant, 'perl_notes')), 'id', 'primary_key');
my %schemas = map { ($_->[1] // '') => 1 } @{ $dbh->table_info(undef, '%', 'perl_notes', 'TABLE')->fetchall_arrayref };
check($schemas{$tenant}, 'table_info');
check(@{ $dbh->statistics_info(undef, $tenant, 'perl_notes', 1, 1)->fetchall_arrayref } > 0, 'statistics_info');
check($dbh->ping && $dbh->pg_ping, 'ping');
$dbh->disconnect;
