package org.hibernate.engine.jdbc.connections.spi;

import java.sql.Connection;
import java.sql.SQLException;

/** What an application writes for Hibernate 6 and 7: those of its methods that have no default. */
public interface MultiTenantConnectionProvider<T> {
    Connection getAnyConnection() throws SQLException;

    void releaseAnyConnection(Connection connection) throws SQLException;

    Connection getConnection(T tenant) throws SQLException;

    void releaseConnection(T tenant, Connection connection) throws SQLException;

    boolean supportsAggressiveRelease();

    boolean isUnwrappableAs(Class<?> type);

    <U> U unwrap(Class<U> type);
}
