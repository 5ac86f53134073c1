//! postern-session.
