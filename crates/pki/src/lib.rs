//! postern-pki.
