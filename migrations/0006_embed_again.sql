-- up

-- Chunks with keys up to this one have vectors that are to be made again; NULL where nothing is. What was made again has a
-- new key, above it.
ALTER TABLE collections ADD COLUMN embed_again_up_to INTEGER;
-- Of the weights that made those vectors; all others are of model_sha256.
ALTER TABLE collections ADD COLUMN embed_again_sha256 TEXT;

-- down

-- Vectors of two kinds are beside each other there, and an older program would compare them: no weights have this hash.
UPDATE collections SET model_sha256 = 'mixed'
WHERE embed_again_up_to IS NOT NULL AND embed_again_sha256 IS NOT model_sha256;
ALTER TABLE collections DROP COLUMN embed_again_sha256;
ALTER TABLE collections DROP COLUMN embed_again_up_to;
