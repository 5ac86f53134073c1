//! postern-platform.
