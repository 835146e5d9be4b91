//! The figures as pictures.
