-- Types of each kind, and what stands on them: operators, their classes and families, casts, aggregates.
CREATE TYPE mood AS ENUM ('sad', 'so so', 'it''s', '"quoted"', 'back\slash', 'Ümlaut', '');
ALTER TYPE mood ADD VALUE 'sadder' BEFORE 'so so';
ALTER TYPE mood RENAME VALUE 'sad' TO 'gloomy';
CREATE TYPE no_mood AS ENUM ();

CREATE TYPE place AS (x double precision, gone text, y double precision);
ALTER TYPE place DROP ATTRIBUTE gone;
ALTER TYPE place ADD ATTRIBUTE "Named so" text COLLATE "C";
CREATE TYPE journey AS (start place, stops place[], feeling mood, plain numeric(8, 2));
CREATE TYPE hollow AS ();
CREATE TYPE promised;

CREATE COLLATION plain_order (LOCALE = 'C');
CREATE COLLATION "Mixed order" (LC_COLLATE = 'C', LC_CTYPE = 'POSIX');
CREATE COLLATION copied_order FROM "C";

CREATE FUNCTION is_short(text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT pg_catalog.length($1) < 20';
CREATE FUNCTION some_word() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'word' $$;
CREATE DOMAIN short_text AS text COLLATE plain_order DEFAULT some_word() NOT NULL
    CONSTRAINT "is short" CHECK (is_short(VALUE)) CHECK (VALUE <> '');
CREATE DOMAIN shorter_text AS short_text DEFAULT 'no' CHECK (VALUE ~ '^[^\\]*$');
CREATE DOMAIN moods AS mood[] CHECK (array_length(VALUE, 1) < 4) DEFAULT ARRAY['gloomy'::mood];
CREATE DOMAIN northern_place AS place CHECK ((VALUE).y > 0);
CREATE DOMAIN positive AS integer;
ALTER DOMAIN positive ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID;
-- The check needs the function, the function the domain.
CREATE DOMAIN even AS integer;
CREATE FUNCTION is_even(even) RETURNS boolean LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT $1 % 2 = 0; END;
ALTER DOMAIN even ADD CONSTRAINT is_even CHECK (is_even(VALUE));

CREATE FUNCTION span_size(double precision, double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT BEGIN ATOMIC SELECT $1 - $2; END;
CREATE TYPE span AS RANGE (subtype = double precision, subtype_diff = span_size, multirange_type_name = "Many spans");
CREATE TYPE words AS RANGE (subtype = text, collation = "Mixed order", subtype_opclass = text_pattern_ops);
CREATE TYPE mood_range AS RANGE (subtype = mood);
CREATE DOMAIN short_span AS span CHECK (upper(VALUE) - lower(VALUE) < 10);

-- A base type, with its input and output functions.
CREATE TYPE tiny;
CREATE FUNCTION tiny_in(cstring) RETURNS tiny LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION tiny_out(tiny) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE FUNCTION tiny_send(tiny) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int4send';
CREATE TYPE tiny (INPUT = tiny_in, OUTPUT = tiny_out, SEND = tiny_send, LIKE = integer, CATEGORY = 'N', DELIMITER = ';', DEFAULT = '7');

CREATE FUNCTION tiny_eq(tiny, tiny) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION tiny_ne(tiny, tiny) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4ne';
CREATE FUNCTION tiny_lt(tiny, tiny) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4lt';
CREATE FUNCTION tiny_le(tiny, tiny) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4le';
CREATE FUNCTION tiny_gt(tiny, tiny) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4gt';
CREATE FUNCTION tiny_ge(tiny, tiny) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4ge';
CREATE FUNCTION tiny_cmp(tiny, tiny) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE FUNCTION tiny_hash(tiny) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'hashint4';
CREATE FUNCTION tiny_eq_int(tiny, integer) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION tiny_add(tiny, tiny) RETURNS tiny LANGUAGE internal IMMUTABLE STRICT AS 'int4pl';
CREATE FUNCTION tiny_subtract(tiny, tiny) RETURNS tiny LANGUAGE internal IMMUTABLE STRICT AS 'int4mi';
CREATE FUNCTION tiny_negate(tiny) RETURNS tiny LANGUAGE internal IMMUTABLE STRICT AS 'int4um';
CREATE OPERATOR = (LEFTARG = tiny, RIGHTARG = tiny, FUNCTION = tiny_eq, COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR <> (LEFTARG = tiny, RIGHTARG = tiny, FUNCTION = tiny_ne, COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR < (LEFTARG = tiny, RIGHTARG = tiny, FUNCTION = tiny_lt, COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR <= (LEFTARG = tiny, RIGHTARG = tiny, FUNCTION = tiny_le, COMMUTATOR = >=, NEGATOR = >);
CREATE OPERATOR > (LEFTARG = tiny, RIGHTARG = tiny, FUNCTION = tiny_gt, COMMUTATOR = <, NEGATOR = <=);
CREATE OPERATOR >= (LEFTARG = tiny, RIGHTARG = tiny, FUNCTION = tiny_ge, COMMUTATOR = <=, NEGATOR = <);
CREATE OPERATOR = (LEFTARG = tiny, RIGHTARG = integer, FUNCTION = tiny_eq_int);
CREATE OPERATOR + (LEFTARG = tiny, RIGHTARG = tiny, FUNCTION = tiny_add, COMMUTATOR = +);
CREATE OPERATOR - (LEFTARG = tiny, RIGHTARG = tiny, FUNCTION = tiny_subtract);
CREATE OPERATOR @- (RIGHTARG = tiny, FUNCTION = tiny_negate);
CREATE OPERATOR FAMILY tiny_family USING btree;
CREATE OPERATOR CLASS tiny_ops DEFAULT FOR TYPE tiny USING btree FAMILY tiny_family AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 tiny_cmp(tiny, tiny);
ALTER OPERATOR FAMILY tiny_family USING btree ADD OPERATOR 3 = (tiny, integer);
CREATE OPERATOR CLASS tiny_hash_ops DEFAULT FOR TYPE tiny USING hash AS OPERATOR 1 =, FUNCTION 1 tiny_hash(tiny);
CREATE OPERATOR FAMILY empty_family USING gin;
CREATE OPERATOR CLASS dots FOR TYPE point USING gist AS
    STORAGE box,
    OPERATOR 11 |>>(point, point),
    OPERATOR 15 <->(point, point) FOR ORDER BY float_ops,
    FUNCTION 1 gist_point_consistent(internal, point, smallint, oid, internal),
    FUNCTION 2 gist_box_union(internal, internal),
    FUNCTION 3 gist_point_compress(internal),
    FUNCTION 5 gist_box_penalty(internal, internal, internal),
    FUNCTION 6 gist_box_picksplit(internal, internal),
    FUNCTION 7 gist_box_same(box, box, internal),
    FUNCTION 8 (point, point) gist_point_distance(internal, point, smallint, oid, internal);
CREATE OPERATOR CLASS tiny_in_common FOR TYPE tiny USING btree FAMILY pg_catalog.integer_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 tiny_cmp(tiny, tiny);

-- An operator on built-in types, and one whose name a built-in one has with other types.
CREATE FUNCTION same_text(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT BEGIN ATOMIC SELECT lower($1) = lower($2); END;
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = text, FUNCTION = same_text, COMMUTATOR = ===);
CREATE FUNCTION far_apart(place, place) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN abs(($1).x - ($2).x) > 1;
CREATE OPERATOR <> (LEFTARG = place, RIGHTARG = place, FUNCTION = far_apart);

-- Casts belong to the database, those between types of the schema to the schema, too.
CREATE FUNCTION place_to_text(place) RETURNS text LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT ($1).x || '/' || ($1).y; END;
CREATE CAST (place AS text) WITH FUNCTION place_to_text(place) AS ASSIGNMENT;
CREATE CAST (tiny AS integer) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS mood) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (place AS text) IS 'A place''s text';

CREATE FUNCTION sum_step(tiny, tiny) RETURNS tiny LANGUAGE internal IMMUTABLE STRICT AS 'int4pl';
CREATE FUNCTION sum_back(tiny, tiny) RETURNS tiny LANGUAGE internal IMMUTABLE STRICT AS 'int4mi';
CREATE FUNCTION sum_end(tiny) RETURNS text LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT 'sum ' || ($1::integer); END;
CREATE AGGREGATE total(tiny) (
    SFUNC = sum_step, STYPE = tiny, SSPACE = 8, FINALFUNC = sum_end, FINALFUNC_MODIFY = SHAREABLE, COMBINEFUNC = tiny_add, INITCOND = '0',
    MSFUNC = sum_step, MINVFUNC = sum_back, MSTYPE = tiny, MFINALFUNC = sum_end, MINITCOND = '0', PARALLEL = SAFE
);
CREATE AGGREGATE least_of(tiny) (SFUNC = sum_step, STYPE = tiny, SORTOP = <);
CREATE AGGREGATE median_of(double precision ORDER BY anyelement) (
    SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA
);
CREATE AGGREGATE place_of(VARIADIC "any" ORDER BY VARIADIC "any") (
    SFUNC = ordered_set_transition_multi, STYPE = internal, FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL
);
