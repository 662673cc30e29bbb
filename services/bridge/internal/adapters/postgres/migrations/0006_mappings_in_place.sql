-- +goose Up
-- Every change of a mapping sets updated_at. While an index held that column no change could stay within its page, and each wrote all of
-- the table's indexes anew. This one is null until a mapping is final; since then it is when the mapping changed last.
ALTER TABLE mappings ADD COLUMN final_since timestamptz GENERATED ALWAYS AS (CASE WHEN final THEN updated_at END) STORED;
CREATE INDEX mappings_final_since ON mappings (final_since) WHERE final_since IS NOT NULL;
DROP INDEX mappings_final;

-- +goose Down
CREATE INDEX mappings_final ON mappings (updated_at) WHERE final;
ALTER TABLE mappings DROP COLUMN final_since;
