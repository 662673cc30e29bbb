-- +goose Up
CREATE TABLE things (id nonsense);

-- +goose Down
DROP TABLE things;
