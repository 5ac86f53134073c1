//! A request on its way to its answer: what a client asks for, and the gateway's choice to open or refuse.

use std::sync::Arc;

use postern_domain::{Reason, ResourceAuthority};
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::pipe::Pipe;
use crate::stream::{Stream, StreamReset};

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// CONNECT: a connection to a resource.
    Connect(ResourceAuthority),
    /// `OPTIONS *`: a sign of life.
    Probe,
}

/// A request that waits for its answer. Dropping it answers 500.
#[derive(Debug)]
pub struct Opening {
    ask: Ask,
    pipe: Arc<Pipe>,
    answer: oneshot::Sender<Answer>,
}

impl Opening {
    pub(crate) const fn new(ask: Ask, pipe: Arc<Pipe>, answer: oneshot::Sender<Answer>) -> Self {
        Self { ask, pipe, answer }
    }

    /// Returns what is asked for.
    #[must_use]
    pub const fn ask(&self) -> Ask {
        self.ask
    }

    /// Answers 200. For a probe that is all: what comes back is over.
    #[must_use]
    pub fn accept(self) -> Stream {
        let answer = match self.ask {
            Ask::Connect(_) => Answer::Accept,
            Ask::Probe => Answer::Done,
        };
        // A session that has ended has nobody to tell; the stream says so to whoever uses it.
        drop(self.answer.send(answer));
        Stream::new(self.pipe)
    }

    /// Answers with the reason's status and its code in `postern-reason`.
    pub fn refuse(self, reason: Reason) {
        drop(self.answer.send(Answer::Refuse(reason)));
    }

    /// Waits until the client has given the request up, or the session has ended: a dial need not go on.
    pub async fn abandoned(&self) -> StreamReset {
        std::future::poll_fn(|cx| self.pipe.poll_reset(cx)).await
    }
}
