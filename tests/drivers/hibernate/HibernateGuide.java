package app;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.ds.PGPoolingDataSource;

/**
 * The code of docs/guides/hibernate.md, as Hibernate would call it. The arguments are host, port, the guide's JDBC URL,
 * and for each tenant its name and its users.
 */
public class HibernateGuide {
    static void same(Object found, Object expected) {
        if (!found.equals(expected)) throw new AssertionError("found " + found + ", expected " + expected);
    }

    static List<String> users(Connection connection) throws SQLException {
        List<String> names = new ArrayList<>();
        try (ResultSet rows = connection.prepareStatement("select u1_0.name from users u1_0 order by u1_0.id").executeQuery()) {
            while (rows.next()) names.add(rows.getString(1));
        }
        return names;
    }

    /** As a session of Hibernate: a transaction that reads, and one that fails. */
    static void session(TenantConnections connections, String tenant, List<String> names) throws SQLException {
        Connection connection = connections.getConnection(tenant);
        connection.setAutoCommit(false);
        same(users(connection), names);
        connection.commit();
        same(users(connection), names);
        try {
            connection.createStatement().execute("select * from missing");
            throw new AssertionError("there is no such table");
        } catch (SQLException error) {
            same(error.getSQLState(), "42P01");
        }
        connection.rollback();
        same(users(connection), names);
        connection.rollback();
        connection.setAutoCommit(true);
        connections.releaseConnection(tenant, connection);
    }

    public static void main(String[] arguments) throws Exception {
        // The guide's URL names its tenant.
        try (Connection connection = DriverManager.getConnection(arguments[2], "app", "app")) {
            same(users(connection), List.of(arguments[4].split(",")));
        }
        PGPoolingDataSource pool = new PGPoolingDataSource();
        pool.setDataSourceName("one connection");
        pool.setServerNames(new String[] {arguments[0]});
        pool.setPortNumbers(new int[] {Integer.parseInt(arguments[1])});
        pool.setDatabaseName("app");
        pool.setUser("app");
        pool.setPassword("app");
        // Each session gets the connection of the one before.
        pool.setMaxConnections(1);
        TenantConnections connections = new TenantConnections(pool);
        for (int round = 0; round < 5; round++) {
            for (int at = 3; at < arguments.length; at += 2) {
                session(connections, arguments[at], List.of(arguments[at + 1].split(",")));
            }
            Connection any = connections.getAnyConnection();
            same(any.isValid(5), true);
            connections.releaseAnyConnection(any);
        }
        try {
            session(connections, "nobody'", List.of());
            throw new AssertionError("a tenant that there is not");
        } catch (SQLException error) {
            same(error.getSQLState(), "42501");
        }
        session(connections, arguments[3], List.of(arguments[4].split(",")));
        pool.close();
    }
}
