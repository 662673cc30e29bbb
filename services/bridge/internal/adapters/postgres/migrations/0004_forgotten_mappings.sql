-- +goose Up
-- Mappings of final sessions go some time after their last change.
CREATE INDEX mappings_final ON mappings (updated_at) WHERE final;

-- +goose Down
DROP INDEX mappings_final;
