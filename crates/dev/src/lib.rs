//! postern-dev.
