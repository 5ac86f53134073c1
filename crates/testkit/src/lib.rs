//! postern-testkit.
