//! postern-relay.
