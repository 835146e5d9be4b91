import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.util.Arrays;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** Large objects as pgJDBC uses them, by FunctionCall: args[0] is the URL of a user who may. */
public class JdbcLargeObjects {
    public static void main(String[] args) throws Exception {
        byte[] data = new byte[300_000];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) (i * 31);
        }
        try (Connection connection = DriverManager.getConnection(args[0])) {
            connection.setAutoCommit(false);
            LargeObjectManager objects = connection.unwrap(PGConnection.class).getLargeObjectAPI();
            long oid = objects.createLO(LargeObjectManager.READWRITE);
            try (LargeObject object = objects.open(oid, LargeObjectManager.WRITE)) {
                object.write(data);
            }
            connection.commit();
            try (LargeObject object = objects.open(oid, LargeObjectManager.READ)) {
                check(object.size() == data.length, "size");
                object.seek(1000);
                check(Arrays.equals(object.read(50), Arrays.copyOfRange(data, 1000, 1050)), "part");
            }
            try (ResultSet rows = connection.createStatement().executeQuery("SELECT name FROM users ORDER BY id")) {
                rows.next();
                check(rows.getString(1).equals("Alice"), "the tenant's rows");
            }
            objects.delete(oid);
            connection.commit();
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
