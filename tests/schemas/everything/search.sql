-- Text search, conversions.
CREATE TEXT SEARCH PARSER own_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, HEADLINE = prsd_headline, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE own_template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY plain_words (TEMPLATE = own_template, accept = false);
CREATE TEXT SEARCH DICTIONARY "English stems" (TEMPLATE = pg_catalog.snowball, language = english, stopwords = english);
CREATE TEXT SEARCH CONFIGURATION own_search (PARSER = own_parser);
ALTER TEXT SEARCH CONFIGURATION own_search ADD MAPPING FOR word, asciiword, email WITH plain_words, "English stems", simple;
CREATE TEXT SEARCH CONFIGURATION copied_search (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION copied_search ALTER MAPPING REPLACE english_stem WITH "English stems";
CREATE TEXT SEARCH CONFIGURATION unmapped (PARSER = pg_catalog."default");
CREATE CONVERSION own_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE DEFAULT CONVERSION own_default FOR 'LATIN9' TO 'UTF8' FROM iso8859_to_utf8;
CREATE TABLE documents (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text,
    search tsvector GENERATED ALWAYS AS (to_tsvector('own_search', body)) STORED,
    config regconfig DEFAULT 'copied_search', lexemes regdictionary DEFAULT 'plain_words'
);
CREATE INDEX documents_search ON documents USING gin (search);
CREATE INDEX documents_body ON documents USING gin (to_tsvector('copied_search', body));
