-- The two roles of a service. Variables: owner, owner_password, role, role_password.
CREATE ROLE :"owner" LOGIN PASSWORD :'owner_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE ROLE :"role" LOGIN PASSWORD :'role_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;

-- No transaction of a service lasts longer than this: readers of the log rest on the bound, and a stuck one can't hold a row for ever.
ALTER ROLE :"role" SET transaction_timeout = '15s';
ALTER ROLE :"role" SET statement_timeout = '10s';
ALTER ROLE :"role" SET lock_timeout = '5s';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = '10s';

-- A migration may work for long, but may not wait long for a lock that stops the running service behind it.
ALTER ROLE :"owner" SET lock_timeout = '10s';
ALTER ROLE :"owner" SET idle_in_transaction_session_timeout = '60s';
