//! An open tunnel, as the relay uses it: streams are opened, it drains, it ends.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_sshkey::Certificate;
use russh::server::{Handle, Msg, RunningSession};
use russh::{Channel, ChannelOpenFailure, Disconnect};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::Judge;
use super::gate::{Gate, Proven};
use crate::guard::Cutter;
use crate::kexinit::Facts;
use crate::stream::{TunnelStream, WriteHalf};
use crate::{TUNNEL_ADDRESS, TUNNEL_PORT, drain};

/// How long a gateway may take to confirm a stream.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A stream could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The tunnel is lost.
    #[error("the tunnel is lost")]
    Lost,
    /// The gateway refused it.
    #[error("the gateway refused the stream: {0}")]
    Refused(String),
    /// The gateway did not answer in time.
    #[error("the gateway did not answer in time")]
    Deadline,
    /// The tunnel carries as many streams as it may.
    #[error("the tunnel carries as many streams as it may")]
    TooMany,
}

/// What is asked of the task that owns the session.
#[derive(Debug)]
enum Control {
    Drain,
    Close(String),
}

struct Shared<V> {
    verdict: V,
    certificate: Certificate,
    facts: Facts,
    handle: Handle,
    streams: Arc<Semaphore>,
    control: mpsc::Sender<Control>,
    ended: watch::Receiver<Option<String>>,
}

/// An open tunnel to a gateway. Clones are the same tunnel; it ends when the last one and its streams are gone.
pub struct Tunnel<V> {
    shared: Arc<Shared<V>>,
}

impl<V: Send + Sync + 'static> Tunnel<V> {
    /// Starts the task that owns the session until it ends.
    pub(super) fn start<J: Judge<Verdict = V>>(
        running: RunningSession<Gate<J>>,
        handle: Handle,
        cutter: Cutter,
        proven: Proven<V>,
        facts: Facts,
        streams: usize,
    ) -> Self {
        let (control, controls) = mpsc::channel(4);
        let (end, ended) = watch::channel(None);
        drop(tokio::spawn(own(running, handle.clone(), cutter, controls, end)));
        Self {
            shared: Arc::new(Shared {
                verdict: proven.verdict,
                certificate: proven.certificate,
                facts,
                handle,
                streams: Arc::new(Semaphore::new(streams)),
                control,
                ended,
            }),
        }
    }

    /// Lends what the judge said of the gateway.
    #[must_use]
    pub fn verdict(&self) -> &V {
        &self.shared.verdict
    }

    /// Lends the certificate that the gateway proved.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.shared.certificate
    }

    /// Lends what was negotiated.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.shared.facts
    }

    /// Returns how many more streams may be opened now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.shared.streams.available_permits()
    }

    /// Says whether the tunnel is open still.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared.ended.borrow().is_none()
    }

    /// Opens a stream on behalf of a client at `origin`, which the gateway is told.
    ///
    /// # Errors
    /// Fails when the tunnel is lost or full, or the gateway refuses or does not answer in 10 s.
    pub async fn open(&self, origin: SocketAddr) -> Result<TunnelStream, OpenError> {
        let permit = Arc::clone(&self.shared.streams)
            .try_acquire_owned()
            .map_err(|_| OpenError::TooMany)?;
        let (answer, answered) = oneshot::channel();
        // In a task of its own, so that a channel that is confirmed too late is closed and not forgotten.
        drop(tokio::spawn(ask(self.shared.handle.clone(), origin, answer)));
        let channel = timeout(OPEN_DEADLINE, answered)
            .await
            .map_err(|_| OpenError::Deadline)?
            .map_err(|_| OpenError::Lost)??;
        let (reader, writer) = channel.split();
        Ok(TunnelStream::new(
            reader,
            WriteHalf::Server(writer),
            Some(origin),
            permit,
            Box::new(self.clone()),
        ))
    }

    /// Tells the gateway to open a tunnel elsewhere; this one goes on. Does not wait.
    pub fn drain(&self) {
        self.tell(Control::Drain);
    }

    /// Ends the tunnel and all its streams, with words for the peer's log. Does not wait; see [`Self::closed`].
    pub fn close(&self, why: &str) {
        self.tell(Control::Close(why.to_owned()));
    }

    fn tell(&self, control: Control) {
        if self.shared.control.try_send(control).is_err() {
            tracing::debug!("the tunnel has ended, or was told already");
        }
    }

    /// Waits until the tunnel has ended, whoever ended it.
    pub async fn closed(&self) {
        let mut ended = self.shared.ended.clone();
        // An error says that the task is gone, which is an end too.
        drop(ended.wait_for(Option::is_some).await);
    }

    /// Says in words why the tunnel ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<String> {
        self.shared.ended.borrow().clone()
    }
}

impl<V> Clone for Tunnel<V> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<V> fmt::Debug for Tunnel<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("key_id", &self.shared.certificate.key_id())
            .field("facts", &self.shared.facts)
            .field("ended", &*self.shared.ended.borrow())
            .finish_non_exhaustive()
    }
}

/// Asks the gateway for a channel.
async fn ask(handle: Handle, origin: SocketAddr, answer: oneshot::Sender<Result<Channel<Msg>, OpenError>>) {
    let asked = handle.channel_open_forwarded_tcpip(
        TUNNEL_ADDRESS,
        TUNNEL_PORT,
        origin.ip().to_string(),
        u32::from(origin.port()),
    );
    let result = asked.await.map_err(|error| {
        if let russh::Error::ChannelOpenFailure(failure) = error {
            OpenError::Refused(describe(&failure).to_owned())
        } else {
            OpenError::Lost
        }
    });
    if let Err(Ok(late)) = answer.send(result)
        && late.close().await.is_err()
    {
        tracing::debug!("a stream was confirmed too late on a tunnel that is gone");
    }
}

fn describe(failure: &ChannelOpenFailure) -> &'static str {
    match failure {
        ChannelOpenFailure::AdministrativelyProhibited => "prohibited",
        ChannelOpenFailure::ConnectFailed => "it could not connect",
        ChannelOpenFailure::UnknownChannelType => "unknown type",
        ChannelOpenFailure::ResourceShortage => "it has too many",
        ChannelOpenFailure::Other { .. } => "unknown reason",
    }
}

/// Owns a session until it ends; the connection is cut when a goodbye takes too long.
async fn own<J: Judge>(
    mut running: RunningSession<Gate<J>>,
    handle: Handle,
    cutter: Cutter,
    mut controls: mpsc::Receiver<Control>,
    end: watch::Sender<Option<String>>,
) {
    let why = loop {
        let control = tokio::select! {
            result = &mut running => {
                let text = match result {
                    Ok(()) => "the gateway left".to_owned(),
                    Err(error) => error.to_string(),
                };
                end.send_replace(Some(text));
                return;
            }
            control = controls.recv() => control,
        };
        match control {
            Some(Control::Drain) => {
                drop(tokio::spawn(say_drain(handle.clone())));
            }
            Some(Control::Close(why)) => break why,
            None => break "nobody uses the tunnel any more".to_owned(),
        }
    };
    // From here on nothing is opened on it.
    end.send_replace(Some(why.clone()));
    let goodbye = async {
        let sent = handle.disconnect(Disconnect::ByApplication, why, String::new());
        if sent.await.is_ok() {
            drop((&mut running).await);
        }
    };
    if timeout(GOODBYE, goodbye).await.is_err() {
        drop(cutter);
        drop(running.await);
    }
}

/// Says that the relay drains; the gateway refuses the channel, and has understood.
async fn say_drain(handle: Handle) {
    let told = handle.channel_open_forwarded_tcpip(drain::ADDRESS, drain::PORT, "", 0);
    if let Ok(Ok(channel)) = timeout(OPEN_DEADLINE, told).await
        && channel.close().await.is_err()
    {
        tracing::debug!("the tunnel ended while it drained");
    }
}
