//! postern-sshkey.
