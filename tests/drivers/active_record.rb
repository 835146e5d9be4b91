# Rails' ActiveRecord as its users write it: the arguments are the tenant's URL and its name.
require 'active_record'
require 'logger'
require 'uri'

URL, TENANT = ARGV
parts = URI.parse(URL)
SETTINGS = {
  adapter: 'postgresql', host: parts.host, port: parts.port, database: 'app', username: parts.user,
  password: parts.password, options: URI.decode_www_form(parts.query).to_h.fetch('options'), pool: 3, min_messages: 'warning'
}.freeze

def same(found, expected, what)
  raise "#{what}: found #{found.inspect}, expected #{expected.inspect}" unless found == expected
end

def fails(error)
  yield
rescue error
  nil
else
  raise "#{error} expected"
end

class CreateShops < ActiveRecord::Migration[6.1]
  def change
    create_table :shops do |table|
      table.string :name, null: false, index: { unique: true }
      table.jsonb :extra, null: false, default: {}
      table.string :tags, array: true, default: []
      table.timestamps
    end
    create_table :items do |table|
      table.references :shop, foreign_key: { on_delete: :cascade }
      table.decimal :price, precision: 10, scale: 2
      table.integer :stock, null: false, default: 0
    end
  end
end

class AddCity < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!
  def change
    add_column :shops, :city, :string
    add_index :shops, :city, algorithm: :concurrently
  end
end

class Shop < ActiveRecord::Base
  has_many :items
  validates :name, uniqueness: true
end

class Item < ActiveRecord::Base
  belongs_to :shop
end

# As `rails db:migrate` runs them: with its tables of versions and, if the database has them, its lock.
def migrate
  ActiveRecord::Migration.verbose = false
  context = ActiveRecord::MigrationContext.new([], ActiveRecord::SchemaMigration)
  ActiveRecord::SchemaMigration.create_table
  ActiveRecord::InternalMetadata.create_table
  [[CreateShops, 1], [AddCity, 2]].each { |migration, version| migration.version ||= version if migration.respond_to?(:version=) }
  migrations = [CreateShops.new('CreateShops', 1), AddCity.new('AddCity', 2)]
  ActiveRecord::Migrator.new(:up, migrations, ActiveRecord::SchemaMigration).migrate
  same(context.get_all_versions, [1, 2], 'versions')
  [Shop, Item].each(&:reset_column_information)
end

def queries
  shops = (1..5).map { |number| Shop.create!(name: "#{TENANT} #{number}", city: 'Rome', tags: %w[a b], extra: { n: number }) }
  same(shops.map(&:id), (1..5).to_a, 'ids')
  20.times { |number| same(Shop.find(1 + number % 5).name, "#{TENANT} #{1 + number % 5}", 'find') }
  same(Shop.where("extra ->> 'n' = ?", '3').pluck(:id), [3], 'jsonb')
  same(Shop.where(name: shops.map(&:name), city: 'Rome').order(:id).limit(2).offset(1).ids, [2, 3], 'limit and offset')
  Item.insert_all((1..200).map { |number| { shop_id: 1 + number % 5, price: number, stock: number } })
  same(Shop.joins(:items).group(:name).count, shops.to_h { |shop| [shop.name, 40] }, 'group')
  same(Shop.includes(:items).where(id: 1).first.items.sum(&:stock), (1..200).select { |n| n % 5 == 0 }.sum, 'includes')
  Item.upsert_all([{ id: 1, shop_id: 2, price: 5, stock: 77 }])
  same(Item.find(1).stock, 77, 'upsert')
  found = 0
  Item.find_each(batch_size: 30) { found += 1 }
  same(found, 200, 'find_each')
  same(Item.where(shop_id: 2).update_all('stock = 0'), 40, 'update_all')
  same(Shop.first.update!(name: "#{TENANT} first"), true, 'update')
  fails(ActiveRecord::RecordInvalid) { Shop.create!(name: "#{TENANT} 2") }
  fails(ActiveRecord::RecordNotUnique) { Shop.insert!({ name: "#{TENANT} 2", created_at: Time.now, updated_at: Time.now }) }
  fails(ActiveRecord::StatementInvalid) { Shop.connection.execute('SELECT * FROM missing') }
end

def transactions
  Shop.transaction do
    Shop.create!(name: 'outer')
    Shop.transaction(requires_new: true) do
      Shop.create!(name: 'inner')
      raise ActiveRecord::Rollback
    end
    same(Shop.lock.where(name: %w[outer inner]).pluck(:name), ['outer'], 'savepoint')
    raise ActiveRecord::Rollback
  end
  same(Shop.count, 5, 'shops')
  Shop.transaction(isolation: :serializable) { same(Shop.first.with_lock { |_| Shop.count }, 5, 'with_lock') }
end

def introspection
  connection = ActiveRecord::Base.connection
  same(connection.current_schema, TENANT, 'schema')
  same(%w[ar_internal_metadata items posts schema_migrations shops users] - connection.tables, [], 'tables')
  same(connection.indexes('shops').map(&:name).sort, %w[index_shops_on_city index_shops_on_name], 'indexes')
  same(connection.foreign_keys('items').map(&:to_table), ['shops'], 'foreign keys')
  same(connection.pk_and_sequence_for('shops').first, 'id', 'sequence')
  same(connection.primary_keys('items'), ['id'], 'primary keys')
  connection.reset_pk_sequence!('items')
  stream = StringIO.new
  ActiveRecord::SchemaDumper.dump(connection, stream)
  raise stream.string unless stream.string.include?('create_table "items"') && !stream.string.include?('Could not dump')
  same(connection.get_advisory_lock(42), true, 'lock')
  same(connection.release_advisory_lock(42), true, 'unlock')
end

def threads
  work = lambda do
    20.times { ActiveRecord::Base.connection_pool.with_connection { same(Shop.order(:id).last.name, "#{TENANT} 5", 'threads') } }
  end
  Array.new(3) { Thread.new(&work) }.each(&:join)
end

ActiveRecord::Base.establish_connection(SETTINGS)
migrate
queries
transactions
introspection
threads
# Without prepared statements, as behind PgBouncer.
ActiveRecord::Base.establish_connection(SETTINGS.merge(prepared_statements: false, advisory_locks: false))
same(Shop.where(id: 2).first.name, "#{TENANT} 2", 'not prepared')
ActiveRecord::Base.connection.drop_table(:items)
ActiveRecord::Base.connection.drop_table(:shops)
%w[schema_migrations ar_internal_metadata].each { |table| ActiveRecord::Base.connection.drop_table(table) }
ActiveRecord::Base.connection_pool.disconnect!
