<?php
// Laravel's database layer, with the code of docs/guides/laravel.md. The arguments are the tenant's URL and its name;
// or a URL with no tenant, the word `switch` and the users of each tenant as JSON, who are read on one connection.
declare(strict_types=1);

require_once 'Illuminate/Database/autoload.php';
require_once 'Illuminate/Events/autoload.php';
require_once 'Illuminate/Filesystem/autoload.php';
require_once 'Illuminate/Pagination/autoload.php';

use Illuminate\Container\Container;
use Illuminate\Database\ConnectionResolverInterface;
use Illuminate\Database\DatabaseManager;
use Illuminate\Database\Connectors\ConnectionFactory;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Migrations\DatabaseMigrationRepository;
use Illuminate\Database\Migrations\Migrator;
use Illuminate\Database\QueryException;
use Illuminate\Filesystem\Filesystem;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Facade;
use Illuminate\Support\Facades\Schema;
use Illuminate\Support\Fluent;

[, $url, $tenant] = $argv;
$switches = $tenant === 'switch';
$parts = parse_url($url);

function same(mixed $found, mixed $expected, string $what): void
{
    if ($found !== $expected) {
        throw new RuntimeException("$what: found " . var_export($found, true) . ', expected ' . var_export($expected, true));
    }
}

function fails(string $state, callable $work): void
{
    try {
        $work();
    } catch (QueryException $error) {
        same($error->getCode(), $state, $error->getMessage());
        return;
    }
    throw new RuntimeException("SQLSTATE $state expected");
}

// The block of the guide that begins with this comment.
function fromGuide(string $name): string
{
    $guide = file_get_contents(__DIR__ . '/../../docs/guides/laravel.md');
    preg_match_all('/^```php\n(.*?)^```$/ms', $guide, $blocks);
    foreach ($blocks[1] as $block) {
        if (str_starts_with($block, "// $name")) {
            return $block;
        }
    }
    throw new RuntimeException("the guide has no block $name");
}

// Laravel's own function reads the environment.
$environment = [
    'DB_HOST' => $parts['host'], 'DB_PORT' => (string) $parts['port'], 'DB_USERNAME' => $parts['user'],
    'DB_PASSWORD' => $parts['pass'],
    'TENANT' => $switches ? null : $tenant,
];
function environment(string $name, mixed $default = null): mixed
{
    return $GLOBALS['environment'][$name] ?? $default;
}

eval(fromGuide('app/Database/TenantConnector.php'));
eval(fromGuide('app/Providers/TenantServiceProvider.php'));
eval(fromGuide('app/Http/Middleware/EnterTenant.php'));
$connections = eval(preg_replace('/\benv\(/', 'environment(', fromGuide('config/database.php')));
if ($switches) {
    unset($connections['pgsql']['tenant'], $connections['pgsql']['schema'], $connections['pgsql']['search_path']);
}

$app = new Container();
$app->instance('config', new Fluent(['database.default' => 'pgsql', 'database.connections' => $connections]));
(new App\Providers\TenantServiceProvider($app))->register();
$app->singleton('db', fn () => new DatabaseManager($app, new ConnectionFactory($app)));
$app->bind('db.schema', fn () => $app['db']->connection()->getSchemaBuilder());
$app->instance(ConnectionResolverInterface::class, $app['db']);
Facade::setFacadeApplication($app);
Model::setConnectionResolver($app['db']);

class Author extends Model
{
    protected $guarded = [];
    protected $table = 'laravel_authors';
    protected $casts = ['settings' => 'array'];

    public function books()
    {
        return $this->hasMany(Book::class);
    }
}

class Book extends Model
{
    protected $guarded = [];
    protected $table = 'laravel_books';

    public function author()
    {
        return $this->belongsTo(Author::class);
    }
}

const MIGRATION = <<<'PHP'
<?php
use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\Schema;
use Illuminate\Support\Fluent;

class MakeLibrary extends Migration
{
    public function up()
    {
        Schema::create('laravel_authors', function (Blueprint $table) {
            $table->id();
            $table->string('name')->unique();
            $table->enum('kind', ['novelist', 'poet'])->default('poet');
            $table->jsonb('settings')->nullable();
            $table->timestamps();
        });
        Schema::create('laravel_books', function (Blueprint $table) {
            $table->id();
            $table->foreignId('author_id')->constrained('laravel_authors')->cascadeOnDelete();
            $table->string('title');
            $table->integer('copies')->default(0);
            $table->timestamps();
            $table->index(['author_id', 'title']);
        });
        Schema::table('laravel_books', fn (Blueprint $table) => $table->string('shelf')->nullable());
    }

    public function down()
    {
        Schema::drop('laravel_books');
        Schema::drop('laravel_authors');
    }
}
PHP;

function migrate(Container $app, string $step): array
{
    $folder = sys_get_temp_dir() . '/laravel-' . getmypid();
    @mkdir($folder);
    file_put_contents("$folder/2026_01_01_000000_make_library.php", MIGRATION);
    $repository = new DatabaseMigrationRepository($app['db'], 'laravel_migrations');
    if (! $repository->repositoryExists()) {
        $repository->createRepository();
    }
    $done = (new Migrator($repository, $app['db'], new Filesystem()))->$step([$folder]);
    (new Filesystem())->deleteDirectory($folder);
    return $done;
}

function models(string $tenant): void
{
    $author = Author::create(['name' => $tenant, 'settings' => ['theme' => 'dark', 'size' => 3]]);
    same($author->fresh()->settings, ['size' => 3, 'theme' => 'dark'], 'a column of JSON');
    $author->books()->createMany(array_map(fn ($n) => ['title' => "book $n", 'copies' => $n], range(1, 30)));
    same(Author::with('books')->withCount('books')->first()->books_count, 30, 'withCount');
    same(Book::with('author')->where('copies', '>', 28)->get()->pluck('author.name')->all(), [$tenant, $tenant], 'belongsTo');
    same(Author::whereHas('books', fn ($query) => $query->where('copies', 7))->count(), 1, 'whereHas');
    same(Author::where('settings->theme', 'dark')->count(), 1, 'JSON in a condition');
    same(Book::orderBy('id')->paginate(10, ['*'], 'page', 3)->pluck('copies')->first(), 21, 'paginate');
    $sum = 0;
    Book::orderBy('id')->chunk(7, function ($books) use (&$sum) {
        $sum += $books->sum('copies');
    });
    same($sum, 465, 'chunk');
    same(Book::orderBy('id')->lazyById(8)->count(), 30, 'lazyById');
    Author::upsert([['name' => $tenant, 'kind' => 'novelist'], ['name' => 'new', 'kind' => 'poet']], ['name'], ['kind']);
    same(Author::orderBy('name')->pluck('kind', 'name')->all() == [$tenant => 'novelist', 'new' => 'poet'], true, 'upsert');
    same(Book::where('copies', '>', 20)->increment('copies', 100), 10, 'increment');
    same(DB::table('laravel_books')->insertGetId(['author_id' => $author->id, 'title' => 'last']), 31, 'insertGetId');
    fails('23505', fn () => Author::create(['name' => $tenant]));
    fails('42P01', fn () => DB::table('laravel_missing')->count());
}

function transactions(): void
{
    DB::transaction(function () {
        $book = Book::lockForUpdate()->orderBy('id')->first();
        $book->update(['shelf' => 'A']);
        try {
            DB::transaction(function () {
                Book::query()->update(['shelf' => 'B']);
                throw new LogicException('back to the savepoint');
            });
        } catch (LogicException) {
        }
        same(count(Book::sharedLock()->where('shelf', 'A')->get()), 1, 'after ROLLBACK TO SAVEPOINT');
    }, 3);
    DB::beginTransaction();
    Book::query()->delete();
    DB::rollBack();
    same(Book::count(), 31, 'after ROLLBACK');
    same(iterator_count(Book::cursor()), 31, 'cursor');
}

function application(Container $app, string $tenant): void
{
    same(DB::selectOne('select current_schema() as schema')->schema, $tenant, 'schema');
    same(count(migrate($app, 'run')), 1, 'migrations');
    same(migrate($app, 'run'), [], 'migrations that are run already');
    same(Schema::hasTable('laravel_books'), true, 'hasTable');
    same(Schema::hasColumn('laravel_books', 'shelf'), true, 'hasColumn');
    models($tenant);
    transactions();
    same(count(migrate($app, 'rollback')), 1, 'a migration taken back');
    same(Schema::hasTable('laravel_books'), false, 'dropped');
    Schema::drop('laravel_migrations');
}

// One connection for two tenants, by the guide's middleware.
function switching(array $tenants): void
{
    $handler = new App\Http\Middleware\EnterTenant();
    $request = fn (string $host) => new class($host) {
        public function __construct(private string $host)
        {
        }

        public function getHost(): string
        {
            return $this->host;
        }
    };
    for ($round = 0; $round < 5; $round++) {
        foreach ($tenants as $tenant => $names) {
            $found = $handler->handle($request("$tenant.example.com"), fn () => DB::table('users')->orderBy('id')->pluck('name')->all());
            same($found, $names, "the users of $tenant");
        }
    }
    fails('42501', fn () => $handler->handle($request('nobody.example.com'), fn () => DB::table('users')->count()));
    // As packages do that switch schemas.
    foreach ($tenants as $tenant => $names) {
        DB::statement("set search_path to \"$tenant\"");
        same(DB::table('users')->orderBy('id')->pluck('name')->all(), $names, "the users of $tenant");
    }
}

if ($switches) {
    switching(json_decode($argv[3], true));
} else {
    application($app, $tenant);
}
