-- An example: add yours beside it, with a higher number. `docker compose up migrations` runs what is new.
ALTER TABLE posts ADD COLUMN published_at timestamptz;
