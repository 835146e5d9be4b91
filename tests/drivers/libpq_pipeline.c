/* libpq as C programs use it, pipeline mode included: the arguments are the tenant's URL and its name. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PGconn *connection;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, PQerrorMessage(connection));
    exit(1);
}

static void check(int holds, const char *what)
{
    if (!holds)
        fail(what);
}

static PGresult *run(const char *sql, ExecStatusType expected)
{
    PGresult *result = PQexec(connection, sql);
    if (PQresultStatus(result) != expected)
        fail(sql);
    return result;
}

static void value(PGresult *result, const char *expected, const char *what)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 || strcmp(PQgetvalue(result, 0, 0), expected) != 0)
        fail(what);
    PQclear(result);
}

static void state(PGresult *result, const char *expected)
{
    const char *found = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!found || strcmp(found, expected) != 0)
        fail(expected);
    PQclear(result);
}

static void end_of_results(void)
{
    check(PQgetResult(connection) == NULL, "the end of a statement's results");
}

/* A hundred statements before the first answer is read. */
static void pipelined(const char *tenant)
{
    check(PQenterPipelineMode(connection), "PQenterPipelineMode");
    for (int n = 0; n < 100; n++) {
        char number[12];
        snprintf(number, sizeof number, "%d", n);
        const char *values[] = {tenant, number};
        check(PQsendQueryPrepared(connection, "add", 2, values, NULL, NULL, 0), "PQsendQueryPrepared");
        check(PQsendQueryParams(connection, "SELECT owner FROM c_notes WHERE n = $1", 1, NULL, values + 1, NULL, NULL, 0), "PQsendQueryParams");
    }
    check(PQpipelineSync(connection), "PQpipelineSync");
    for (int n = 0; n < 100; n++) {
        char number[12];
        snprintf(number, sizeof number, "%d", n + 1);
        value(PQgetResult(connection), number, "RETURNING id");
        end_of_results();
        value(PQgetResult(connection), tenant, "the owner");
        end_of_results();
    }
    PGresult *result = PQgetResult(connection);
    check(PQresultStatus(result) == PGRES_PIPELINE_SYNC, "the Sync");
    PQclear(result);
}

/* An error aborts what is behind it up to the Sync, and undoes what was before it. */
static void pipeline_error(const char *tenant)
{
    const char *bad[] = {tenant, "1"}, *good[] = {tenant, "1000"};
    check(PQsendQueryPrepared(connection, "add", 2, good, NULL, NULL, 0), "before");
    check(PQsendQueryPrepared(connection, "add", 2, bad, NULL, NULL, 0), "the error");
    check(PQsendQueryPrepared(connection, "add", 2, good, NULL, NULL, 0), "behind");
    check(PQpipelineSync(connection), "Sync");
    check(PQsendQueryParams(connection, "SELECT count(*) FROM c_notes", 0, NULL, NULL, NULL, NULL, 0), "count");
    check(PQpipelineSync(connection), "Sync");
    PQclear(PQgetResult(connection));
    end_of_results();
    state(PQgetResult(connection), "23505");
    end_of_results();
    PGresult *result = PQgetResult(connection);
    check(PQresultStatus(result) == PGRES_PIPELINE_ABORTED, "aborted");
    PQclear(result);
    end_of_results();
    PQclear(PQgetResult(connection));
    value(PQgetResult(connection), "100", "rows after the error");
    end_of_results();
    PQclear(PQgetResult(connection));
    check(PQexitPipelineMode(connection), "PQexitPipelineMode");
}

static void copy(const char *tenant)
{
    PQclear(run("COPY c_notes (owner, n) FROM STDIN", PGRES_COPY_IN));
    for (int n = 2000; n < 3000; n++) {
        char line[100];
        int length = snprintf(line, sizeof line, "%s\t%d\n", tenant, n);
        check(PQputCopyData(connection, line, length) == 1, "PQputCopyData");
    }
    check(PQputCopyEnd(connection, NULL) == 1, "PQputCopyEnd");
    PGresult *result = PQgetResult(connection);
    check(strcmp(PQcmdTuples(result), "1000") == 0, "rows copied");
    PQclear(result);
    end_of_results();
    PQclear(run("COPY (SELECT owner FROM c_notes WHERE n >= 2000) TO STDOUT", PGRES_COPY_OUT));
    char *line;
    int lines = 0;
    while (PQgetCopyData(connection, &line, 0) > 0) {
        check(strncmp(line, tenant, strlen(tenant)) == 0, "a copied row is the tenant's");
        lines++;
        PQfreemem(line);
    }
    check(lines == 1000, "lines");
    PQclear(PQgetResult(connection));
    end_of_results();
}

static void row_by_row(const char *tenant)
{
    check(PQsendQuery(connection, "SELECT owner FROM c_notes"), "PQsendQuery");
    check(PQsetSingleRowMode(connection), "PQsetSingleRowMode");
    int rows = 0;
    PGresult *result;
    while ((result = PQgetResult(connection)) != NULL) {
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE) {
            check(strcmp(PQgetvalue(result, 0, 0), tenant) == 0, "a row is the tenant's");
            rows++;
        }
        PQclear(result);
    }
    check(rows == 1100, "single rows");
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    const char *tenant = arguments[2];
    connection = PQconnectdb(arguments[1]);
    check(PQstatus(connection) == CONNECTION_OK, "PQconnectdb");
    PQclear(run("CREATE TABLE c_notes (id serial PRIMARY KEY, owner text NOT NULL, n integer UNIQUE)", PGRES_COMMAND_OK));
    PGresult *prepared = PQprepare(connection, "add", "INSERT INTO c_notes (owner, n) VALUES ($1, $2) RETURNING id", 0, NULL);
    check(PQresultStatus(prepared) == PGRES_COMMAND_OK, "PQprepare");
    PQclear(prepared);
    prepared = PQdescribePrepared(connection, "add");
    check(PQnparams(prepared) == 2 && PQparamtype(prepared, 1) == 23 && PQnfields(prepared) == 1, "PQdescribePrepared");
    PQclear(prepared);
    pipelined(tenant);
    pipeline_error(tenant);
    copy(tenant);
    row_by_row(tenant);
    PQclear(run("BEGIN", PGRES_COMMAND_OK));
    state(run("SELECT * FROM c_missing", PGRES_FATAL_ERROR), "42P01");
    check(PQtransactionStatus(connection) == PQTRANS_INERROR, "in a failed transaction");
    PQclear(run("ROLLBACK", PGRES_COMMAND_OK));
    check(strcmp(PQparameterStatus(connection, "client_encoding"), "UTF8") == 0, "client_encoding");
    PQclear(run("DROP TABLE c_notes", PGRES_COMMAND_OK));
    PQfinish(connection);
    return 0;
}
