//! The audit record: what one attempt was, in one canonical encoding, and the proof that it was written.
//!
//! - [`Event`] says what happened; a [`Sink`] numbers it and makes it a [`Record`], whose bytes are defined in
//!   [`canonical`].
//! - [`Recorded<T>`] is made only by [`Recorder::record`], over a sink. A function that hands something out or
//!   acts on the world asks for a `Recorded<T>`, so that nothing is handed out or acted on unrecorded.
//!
//! Nothing here does I/O or reads a clock: the daemons' sink is the spool of the agent, the platform's its store.

pub mod canonical;
mod event;
mod key;
mod recorder;
mod sink;
mod source;

pub use canonical::{DecodeError, Record};
pub use event::{Event, Hop, Outcome};
pub use key::{ParseReporterError, RecordKey, Reporter};
pub use recorder::{NotRecorded, Recorded, Recorder};
pub use sink::{Appending, Durability, Sink, SinkError};
pub use source::{ParseSourceError, Source};
