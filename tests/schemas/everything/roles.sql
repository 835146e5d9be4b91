-- What the schema needs of the cluster and the database. Run once, as superuser.
CREATE ROLE eq_owner;
CREATE ROLE eq_other;
CREATE ROLE eq_reader;
CREATE ROLE eq_zealous;
CREATE ROLE "Odd ""role""";
CREATE FOREIGN DATA WRAPPER eq_wrapper;
CREATE SERVER eq_server FOREIGN DATA WRAPPER eq_wrapper;
GRANT USAGE ON FOREIGN SERVER eq_server TO eq_owner;
