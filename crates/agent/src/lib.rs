//! postern-agent.
