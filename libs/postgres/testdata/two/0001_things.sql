-- +goose Up
CREATE TABLE things (
    id   bigint PRIMARY KEY,
    name text NOT NULL CONSTRAINT things_name_key UNIQUE
);

-- +goose Down
DROP TABLE things;
