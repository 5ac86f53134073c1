//! `Recorded<T>`: the proof that a thing was recorded before it was handed out or acted on.

use std::sync::Arc;

use postern_domain::Reason;

use crate::{Durability, Event, RecordKey, Sink, SinkError};

/// An event was not recorded, so nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("the record could not be written, so nothing was done: {0}")]
pub struct NotRecorded(#[from] pub SinkError);

impl NotRecorded {
    /// Returns the stable code of this refusal.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        Reason::NotRecorded
    }
}

/// A value whose record is written. Made by [`Recorder::record`] and no other way.
#[derive(Debug)]
#[must_use = "what was recorded as allowed is meant to be done"]
pub struct Recorded<T> {
    what: T,
    key: RecordKey,
}

impl<T> Recorded<T> {
    /// Lends the value.
    pub const fn get(&self) -> &T {
        &self.what
    }

    /// Gives up the proof and returns the value.
    pub fn into_inner(self) -> T {
        self.what
    }

    /// Returns the key of the record.
    pub const fn key(&self) -> RecordKey {
        self.key
    }
}

/// Writes records to a sink; clones write to the same one.
#[derive(Debug, Clone)]
pub struct Recorder {
    sink: Arc<dyn Sink>,
}

impl Recorder {
    /// Makes a recorder over a sink.
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self { sink }
    }

    /// Records `event`, then returns `what` with the proof of it.
    ///
    /// # Errors
    /// If the sink does not take the event; `what` is dropped.
    pub async fn record<T>(
        &self,
        what: T,
        event: Event,
        durability: Durability,
    ) -> Result<Recorded<T>, NotRecorded> {
        let key = self.sink.append(event, durability).await?;
        Ok(Recorded { what, key })
    }

    /// Records a refusal, a failure or an end: something that allows nothing.
    ///
    /// # Errors
    /// If the sink does not take the event.
    pub async fn note(&self, event: Event) -> Result<RecordKey, NotRecorded> {
        Ok(self.sink.append(event, Durability::Soon).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Appending, Hop, Reporter};
    use postern_domain::{SpoolEpoch, Timestamp};
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[derive(Debug)]
    struct Fixed(Option<RecordKey>);

    impl Sink for Fixed {
        fn append(&self, _: Event, _: Durability) -> Appending<'_> {
            let answer = self.0.ok_or(SinkError::Full);
            Box::pin(async move { answer })
        }
    }

    fn now_or_never<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("the sink is ready"),
        }
    }

    fn event() -> Event {
        Event::allowed(Hop::Api, "token.create", Timestamp::from_unix_seconds(1))
    }

    #[test]
    fn a_recorded_value_carries_the_key_of_its_record() {
        let key = RecordKey {
            reporter: Reporter::Platform,
            epoch: SpoolEpoch::generate(Timestamp::from_unix_seconds(1)),
            number: 3,
        };
        let recorder = Recorder::new(Arc::new(Fixed(Some(key))));
        let recorded = now_or_never(recorder.record("x", event(), Durability::Synced)).unwrap();
        assert_eq!(
            (recorded.key(), *recorded.get(), recorded.into_inner()),
            (key, "x", "x")
        );
    }

    #[test]
    fn nothing_is_handed_out_if_the_sink_is_full() {
        let recorder = Recorder::new(Arc::new(Fixed(None)));
        let refused = now_or_never(recorder.record("x", event(), Durability::Soon)).unwrap_err();
        assert_eq!(refused.reason(), Reason::NotRecorded);
        assert!(now_or_never(recorder.note(event())).is_err());
    }
}
