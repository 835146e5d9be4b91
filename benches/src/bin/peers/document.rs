//! The document that the figures go to.
