//! postern-ssh.
