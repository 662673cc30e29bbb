-- +goose Up
-- Slow, so that replicas that migrate at once really meet.
SELECT pg_sleep(0.5);
CREATE TABLE more_things (id bigint PRIMARY KEY);

-- +goose Down
DROP TABLE more_things;
