// An application on JDBC: the arguments are acme_corp's and globex's URLs, as libpq writes them.

import java.io.StringReader;
import java.io.StringWriter;
import java.net.URI;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;

public class JdbcApp {
    static final List<String> TENANTS = List.of("acme_corp", "globex");
    static final String PUBLIC = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace";

    interface Step {
        void run(Connection connection, String tenant) throws Exception;
    }

    interface Work {
        void run() throws Exception;
    }

    static void check(boolean holds, Object what) {
        if (!holds) throw new AssertionError(String.valueOf(what));
    }

    static void same(Object found, Object expected) {
        check(Objects.equals(found, expected), "found " + found + ", expected " + expected);
    }

    static void fails(String state, Work work) throws Exception {
        try {
            work.run();
        } catch (SQLException error) {
            same(error.getSQLState(), state);
            return;
        }
        throw new AssertionError("SQLSTATE " + state + " expected");
    }

    /** The URL that an application of Java has: jdbc:postgresql://host/database?user=..&password=..&options=.. */
    static String jdbc(String url, String more) {
        URI uri = URI.create(url);
        String[] user = uri.getUserInfo().split(":");
        String query = uri.getRawQuery().replace("-c", "-c%20");
        return "jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getPath() + "?" + query
            + "&user=" + user[0] + "&password=" + user[1] + more;
    }

    static String text(Connection connection, String query) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(query)) {
            check(rows.next(), query);
            return rows.getString(1);
        }
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) found.add(rows.getString(name));
        rows.close();
        return found;
    }

    static void setUp(Connection connection, String tenant) throws Exception {
        fails("42P01", () -> text(connection, "SELECT * FROM stock"));
        run(connection, "CREATE TABLE stores (id serial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE)");
        run(connection, "CREATE TABLE stock (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            + "store integer NOT NULL REFERENCES stores ON DELETE CASCADE, item text, amount numeric(10, 2) DEFAULT 0)");
        run(connection, "CREATE INDEX stock_item ON stock (item)");
        run(connection, "INSERT INTO stores (name) VALUES ('" + tenant + "')");
        same(connection.getSchema(), tenant);
    }

    static void metadata(Connection connection, String tenant) throws Exception {
        DatabaseMetaData data = connection.getMetaData();
        same(column(data.getTables(null, tenant, "%", new String[] {"TABLE"}), "TABLE_NAME"), List.of("posts", "stock", "stores", "users"));
        same(column(data.getColumns(null, tenant, "stock", "%"), "COLUMN_NAME"), List.of("id", "store", "item", "amount"));
        same(column(data.getPrimaryKeys(null, tenant, "stock"), "COLUMN_NAME"), List.of("id"));
        same(column(data.getImportedKeys(null, tenant, "stock"), "PKTABLE_SCHEM"), List.of(tenant));
        same(column(data.getExportedKeys(null, tenant, "stores"), "FKTABLE_NAME"), List.of("stock"));
        check(column(data.getIndexInfo(null, tenant, "stock", false, true), "INDEX_NAME").contains("stock_item"), "stock_item");
        check(column(data.getSchemas(), "TABLE_SCHEM").contains(tenant), tenant);
        check(!column(data.getTypeInfo(), "TYPE_NAME").isEmpty(), "types");
        try (PreparedStatement statement = connection.prepareStatement("SELECT s.name, amount FROM stock JOIN stores s ON s.id = store WHERE item = ?")) {
            same(statement.getMetaData().getColumnTypeName(2), "numeric");
            same(statement.getParameterMetaData().getParameterTypeName(1), "text");
        }
    }

    /** The driver prepares on the server from the third use on. */
    static void prepared(Connection connection, String tenant) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement("SELECT name FROM stores WHERE id = ?")) {
            statement.unwrap(PGStatement.class).setPrepareThreshold(3);
            for (int round = 0; round < 10; round++) {
                statement.setInt(1, 1);
                same(column(statement.executeQuery(), "name"), List.of(tenant));
            }
            check(statement.unwrap(PGStatement.class).isUseServerPrepare(), "prepared on the server");
        }
    }

    static void schemaChanges(Connection connection, String tenant) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement("SELECT * FROM stores WHERE id = ?")) {
            for (int round = 0; round < 8; round++) {
                statement.setInt(1, 1);
                try (ResultSet rows = statement.executeQuery()) {
                    same(rows.getMetaData().getColumnCount(), round < 4 ? 2 : 3);
                    check(rows.next(), "a row");
                    same(rows.getString("name"), tenant);
                }
                if (round == 3) run(connection, "ALTER TABLE stores ADD COLUMN city text");
            }
        }
        run(connection, "ALTER TABLE stores DROP COLUMN city");
    }

    static void batches(Connection connection, String tenant) throws Exception {
        String insert = "INSERT INTO stock (store, item, amount) VALUES (?, ?, ?)";
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement(insert)) {
            for (int number = 0; number < 1000; number++) {
                statement.setInt(1, 1);
                statement.setString(2, tenant + " " + number);
                statement.setBigDecimal(3, java.math.BigDecimal.valueOf(number));
                statement.addBatch();
            }
            same(statement.executeBatch().length, 1000);
        }
        connection.commit();
        try (PreparedStatement statement = connection.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS)) {
            statement.setInt(1, 1);
            statement.setString(2, "key");
            statement.setInt(3, 5);
            same(statement.executeUpdate(), 1);
            same(column(statement.getGeneratedKeys(), "id"), List.of("1001"));
        }
        connection.rollback();
        connection.setAutoCommit(true);
        same(text(connection, "SELECT count(*) FROM stock WHERE item LIKE '" + tenant + " %'"), "1000");
    }

    static void fetching(Connection connection, String tenant) throws Exception {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement("SELECT item, current_schema() FROM stock ORDER BY id")) {
            statement.setFetchSize(70);
            ResultSet rows = statement.executeQuery();
            int number = 0;
            for (; rows.next(); number++) {
                same(rows.getString(1), tenant + " " + number);
                same(rows.getString(2), tenant);
                if (number == 500) same(text(connection, "SELECT name FROM stores"), tenant);
            }
            same(number, 1000);
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void transactions(Connection connection, String tenant) throws Exception {
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        connection.setAutoCommit(false);
        same(text(connection, "SHOW transaction_isolation"), "serializable");
        run(connection, "UPDATE stock SET amount = -1 WHERE id = 1");
        Savepoint savepoint = connection.setSavepoint("here");
        fails("23505", () -> run(connection, "INSERT INTO stores (name) VALUES ('" + tenant + "')"));
        fails("25P02", () -> text(connection, "SELECT 1"));
        connection.rollback(savepoint);
        connection.releaseSavepoint(connection.setSavepoint());
        same(text(connection, "SELECT amount FROM stock WHERE id = 1"), "-1.00");
        connection.rollback();
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        connection.setReadOnly(true);
        fails("25006", () -> run(connection, "DELETE FROM stock"));
        connection.rollback();
        connection.setReadOnly(false);
        connection.setAutoCommit(true);
        same(text(connection, "SELECT amount FROM stock WHERE id = 1"), "0.00");
    }

    static void copies(Connection connection, String tenant) throws Exception {
        CopyManager manager = connection.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder lines = new StringBuilder();
        for (int number = 0; number < 2000; number++) lines.append("1\tcopied ").append(number).append('\n');
        same(manager.copyIn("COPY stock (store, item) FROM STDIN", new StringReader(lines.toString())), 2000L);
        StringWriter out = new StringWriter();
        manager.copyOut("COPY (SELECT store, item FROM stock WHERE item LIKE 'copied%' ORDER BY id) TO STDOUT", out);
        same(out.toString(), lines.toString());
        fails("22P02", () -> manager.copyIn("COPY stock (store, item) FROM STDIN", new StringReader("x\ty\n")));
        run(connection, "DELETE FROM stock WHERE item LIKE 'copied%'");
    }

    static void interruptions(Connection connection, String tenant) throws Exception {
        connection.setNetworkTimeout(Runnable::run, 20_000);
        ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
        try (Statement statement = connection.createStatement()) {
            timer.schedule(() -> { statement.cancel(); return null; }, 300, TimeUnit.MILLISECONDS);
            fails("57014", () -> statement.execute("SELECT pg_sleep(15)"));
            statement.setQueryTimeout(1);
            fails("57014", () -> statement.execute("SELECT pg_sleep(15)"));
        } finally {
            timer.shutdownNow();
        }
        check(connection.isValid(5), "valid");
        same(text(connection, "SELECT name FROM stores"), tenant);
    }

    static void largeObjects(Connection connection, String tenant) throws Exception {
        if (connection.getMetaData().getURL().contains("search_path")) return;
        connection.setAutoCommit(false);
        try {
            connection.unwrap(PGConnection.class).getLargeObjectAPI().createLO();
            throw new AssertionError("a large object");
        } catch (SQLException error) {
            check(List.of("0A000", "42501").contains(error.getSQLState()), error);
        }
        connection.rollback();
        connection.setAutoCommit(true);
        same(text(connection, "SELECT name FROM stores"), tenant);
    }

    static void tearDown(Connection connection, String tenant) throws Exception {
        run(connection, "DROP TABLE stock, stores");
    }

    static void crowd(List<String> urls) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(8, job -> {
            Thread thread = new Thread(job);
            thread.setDaemon(true);
            return thread;
        });
        List<Future<?>> jobs = new ArrayList<>();
        for (int worker = 0; worker < 8; worker++) {
            String tenant = TENANTS.get(worker % 2), url = urls.get(worker % 2);
            jobs.add(threads.submit(() -> {
                try (Connection connection = DriverManager.getConnection(url)) {
                    connection.setAutoCommit(false);
                    for (int round = 0; round < 10; round++) {
                        same(text(connection, "SELECT name FROM stores"), tenant);
                        run(connection, "UPDATE stock SET amount = amount + 1 WHERE id = 7");
                        connection.commit();
                    }
                }
                return null;
            }));
        }
        for (Future<?> job : jobs) job.get(60, TimeUnit.SECONDS);
        threads.shutdown();
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Step> steps = new LinkedHashMap<>();
        steps.put("setUp", JdbcApp::setUp);
        steps.put("metadata", JdbcApp::metadata);
        steps.put("prepared", JdbcApp::prepared);
        steps.put("schemaChanges", JdbcApp::schemaChanges);
        steps.put("batches", JdbcApp::batches);
        steps.put("fetching", JdbcApp::fetching);
        steps.put("transactions", JdbcApp::transactions);
        steps.put("copies", JdbcApp::copies);
        steps.put("interruptions", JdbcApp::interruptions);
        steps.put("largeObjects", JdbcApp::largeObjects);
        for (String more : List.of("", "&reWriteBatchedInserts=true&prepareThreshold=1&binaryTransfer=true", "&preferQueryMode=simple")) {
            List<String> urls = List.of(jdbc(arguments[0], more), jdbc(arguments[1], more));
            try (Connection acme = DriverManager.getConnection(urls.get(0)); Connection globex = DriverManager.getConnection(urls.get(1))) {
                String before = text(acme, PUBLIC);
                for (Map.Entry<String, Step> step : steps.entrySet()) {
                    // What JDBC can't do in the simple protocol.
                    if (more.contains("simple") && List.of("metadata", "prepared", "largeObjects").contains(step.getKey())) continue;
                    try {
                        step.getValue().run(acme, TENANTS.get(0));
                        step.getValue().run(globex, TENANTS.get(1));
                    } catch (Throwable error) {
                        System.err.println(step.getKey() + " failed with " + more);
                        throw error;
                    }
                    System.out.println(step.getKey() + " passed" + more);
                }
                crowd(urls);
                tearDown(acme, TENANTS.get(0));
                same(text(globex, "SELECT count(*) FROM stock"), "1000");
                tearDown(globex, TENANTS.get(1));
                same(text(globex, PUBLIC), before);
            }
        }
    }
}
