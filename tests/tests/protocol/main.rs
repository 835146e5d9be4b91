//! What a client sends, and what it is answered.

mod cancel;
mod cancel_peers;
mod encodings;
mod entrance;
mod equivalence;
mod execute_names;
mod implicit_transactions;
mod large_objects;
mod long_texts;
mod one_name_space;
mod prepared;
mod protocol_corners;
mod round_trips;
mod same_answers;
mod scripts;
mod setting_values;
mod startup;
mod unnamed_statements;
