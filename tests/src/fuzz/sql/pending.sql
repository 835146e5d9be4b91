-- A prepared transaction of the other tenant's, each statement as a message of its own.
BEGIN
INSERT INTO globex.pending VALUES ('MARK_globex_pending')
PREPARE TRANSACTION 'globex.held'
