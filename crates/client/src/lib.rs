//! postern-client.
