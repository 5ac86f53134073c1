//! Sinks: where events become records. A daemon's sink is the spool of the agent, the platform's its store.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::{Event, RecordKey};

/// How sure a record must be before its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the disk before [`Sink::append`] resolves: for the opening of a session, and whatever is issued.
    Synced,
    /// Written before it resolves, and synced soon after: for everything else.
    Soon,
}

/// Why a sink did not take an event. The event is then not recorded, and what it was to allow must not happen.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// There is no space left, or no quota.
    #[error("the audit sink is full")]
    Full,
    /// The sink has stopped.
    #[error("the audit sink has stopped")]
    Closed,
    /// Writing failed.
    #[error("the audit sink failed: {0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// The future of one append.
pub type Appending<'a> = Pin<Box<dyn Future<Output = Result<RecordKey, SinkError>> + Send + 'a>>;

/// Numbers events and keeps them, in order.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Appends an event, as sure as `durability` says, and returns the key that it got. A future that is dropped
    /// before it resolves may still have appended.
    fn append(&self, event: Event, durability: Durability) -> Appending<'_>;
}
