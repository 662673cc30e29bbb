-- +goose Up
-- A track may be published before its connection is fully in the room; until then the track awaits that connection's sid.
ALTER TABLE tracks
    ADD COLUMN awaits text CHECK (awaits <> ''),
    ADD CONSTRAINT tracks_awaiting_are_closed CHECK (awaits IS NULL OR NOT open);

-- +goose Down
ALTER TABLE tracks DROP COLUMN awaits;
