//! No tenant reads, changes or blocks what is another's.

mod after_ddl;
mod analysed_names;
mod attacks;
mod boundaries;
mod catalog;
mod catalog_locks;
mod catalog_privacy;
mod catalog_values;
mod channels;
mod forms_of_calls;
mod fresh_or_strict;
mod harden;
mod locked_settings;
mod names_that_wait;
mod own_names;
mod own_statistics;
mod races;
mod second_looks;
mod selftest;
mod sequences_by_expression;
mod statement_levels;
mod tier_login;
mod tier_role;
mod tiers;
mod time_limits;
mod two_readings;
