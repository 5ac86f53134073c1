//! postern-audit.
