//! postern-gateway.
