import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** The console by pgJDBC: the argument is the port. */
public class JdbcConsole {
    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/pgstrata";
        for (String mode : new String[] {"extended", "simple"}) {
            try (Connection connection = DriverManager.getConnection(url + "?preferQueryMode=" + mode, "root", "root")) {
                // Often enough to be prepared, and read in binary.
                for (int n = 0; n < 8; n++) {
                    try (PreparedStatement statement = connection.prepareStatement("SHOW STATS");
                            ResultSet rows = statement.executeQuery()) {
                        check(rows.next() && rows.getString("database").equals("app"), mode);
                        check(rows.getBigDecimal("total_query_count").compareTo(BigDecimal.ONE) >= 0, mode);
                    }
                }
                for (int n = 0; n < 8; n++) {
                    try (PreparedStatement statement = connection.prepareStatement("SHOW POOLS");
                            ResultSet rows = statement.executeQuery()) {
                        check(rows.next() && rows.getInt("sv_active") == 0, mode);
                    }
                }
                try (Statement statement = connection.createStatement()) {
                    statement.execute("PAUSE app");
                    statement.execute("RESUME app");
                    try {
                        statement.execute("foo");
                        check(false, "foo is no command");
                    } catch (SQLException error) {
                        check(error.getSQLState().equals("42601"), error.toString());
                    }
                }
                check(connection.isValid(5), mode);
            }
            try (Connection connection = DriverManager.getConnection(url + "?preferQueryMode=" + mode, "root", "root")) {
                connection.setAutoCommit(false);
                try (Statement statement = connection.createStatement();
                        ResultSet rows = statement.executeQuery("SHOW DATABASES")) {
                    check(rows.next() && rows.getString("name").equals("app"), mode);
                }
                connection.commit();
            }
        }
        System.out.println("ok");
    }
}
