-- What a new PostgreSQL cluster gets: a database and two roles for each service. The owner role makes the schema (migrations); the
-- service's own role reads and writes rows and has no DDL. Run by psql, as /docker-entrypoint-initdb.d does it; passwords come from the environment.
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;

\getenv owner_password SESSIONS_OWNER_DB_PASSWORD
\getenv role_password SESSIONS_DB_PASSWORD
\set owner sessions_owner
\set role sessions
\set database sessions
\ir include/roles.sql
\ir include/database.sql
\connect :database
\ir include/grants.sql

\getenv owner_password BRIDGE_OWNER_DB_PASSWORD
\getenv role_password BRIDGE_DB_PASSWORD
\set owner bridge_owner
\set role bridge
\set database bridge
\ir include/roles.sql
\ir include/database.sql
\connect :database
\ir include/grants.sql
