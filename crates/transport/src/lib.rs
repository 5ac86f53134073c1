//! postern-transport.
