//! What the library asks us about a relay, and how we answer: streams of the tunnel, yes; else no.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use postern_sshkey::{Certificate, CertificateKind};
use russh::client::{ChannelOpenHandle, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::sync::{Semaphore, mpsc};

use super::{HostJudge, IncomingEvent};
use crate::convert::from_library;
use crate::refusal::{Attempt, Refused, RefusedAttempt};
use crate::stream::{TunnelStream, WriteHalf};
use crate::{TUNNEL_ADDRESS, TUNNEL_PORT, drain};

/// How often a relay may be refused something; one that asks on is cut off, lest it fill the records.
const MAX_REFUSALS: usize = 16;

/// How the relay's certificate was judged, once it was.
pub(super) type HostVerdict = Arc<OnceLock<Result<Certificate, Refused>>>;

/// Answers the library for one connection.
pub(super) struct Door<J: HostJudge> {
    judge: Arc<J>,
    verdict: HostVerdict,
    events: mpsc::Sender<IncomingEvent>,
    streams: Arc<Semaphore>,
    refusals: usize,
}

impl<J: HostJudge> Door<J> {
    pub(super) fn new(
        judge: Arc<J>,
        verdict: HostVerdict,
        events: mpsc::Sender<IncomingEvent>,
        streams: Arc<Semaphore>,
    ) -> Self {
        Self {
            judge,
            verdict,
            events,
            streams,
            refusals: 0,
        }
    }

    /// Judges what the relay presents; at every key exchange, since the library asks each time.
    fn judge(&self, presented: &PublicKeyOrCertificate) -> Result<Certificate, Refused> {
        let certificate = presented
            .certificate()
            .ok_or_else(|| Refused::new("bare_key", "the relay has a key and no certificate"))?;
        let certificate = from_library(certificate)
            .map_err(|error| Refused::new("certificate_malformed", error.to_string()))?;
        if certificate.kind() != CertificateKind::Host {
            return Err(Refused::new(
                "wrong_usage",
                "the relay's certificate is not for a host",
            ));
        }
        self.judge.judge(&certificate)?;
        Ok(certificate)
    }

    async fn refuse(&mut self, kind: &str, reply: ChannelOpenHandle) -> Result<(), russh::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        self.tell(Attempt::Channel, kind)
    }

    fn tell(&mut self, attempt: Attempt, detail: &str) -> Result<(), russh::Error> {
        self.judge.refused(RefusedAttempt::new(attempt, detail));
        self.refusals += 1;
        if self.refusals >= MAX_REFUSALS {
            return Err(russh::Error::Inconsistent);
        }
        Ok(())
    }

    async fn take(&mut self, channel: Channel<Msg>, origin: Option<SocketAddr>, reply: ChannelOpenHandle) {
        let Ok(permit) = Arc::clone(&self.streams).try_acquire_owned() else {
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        };
        let Ok(place) = self.events.try_reserve() else {
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        };
        reply.accept().await;
        let (reader, writer) = channel.split();
        let stream = TunnelStream::new(reader, WriteHalf::Client(writer), origin, permit, Box::new(()));
        place.send(IncomingEvent::Stream(stream));
    }
}

impl<J: HostJudge> Handler for Door<J> {
    type Error = russh::Error;

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let judged = self.judge(presented);
        let taken = judged.is_ok();
        if let Err(refused) = &judged {
            tracing::debug!(%refused, "host certificate refused");
        }
        // At a later key exchange the first verdict stands; a refusal ends the session all the same.
        drop(self.verdict.set(judged));
        Ok(taken)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        address: &str,
        port: u32,
        origin: &str,
        origin_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        if address == TUNNEL_ADDRESS && port == TUNNEL_PORT {
            let origin = origin
                .parse()
                .ok()
                .zip(u16::try_from(origin_port).ok())
                .map(|(address, port)| SocketAddr::new(address, port));
            self.take(channel, origin, reply).await;
            return Ok(());
        }
        if address == drain::ADDRESS && port == drain::PORT {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            if self.events.try_send(IncomingEvent::Drain).is_err() {
                tracing::warn!("the relay drains, but too many streams wait for that to be noticed");
            }
            return Ok(());
        }
        self.refuse(&format!("forwarded-tcpip {address}:{port}"), reply)
            .await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse(&format!("forwarded-streamlocal {path}"), reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse("auth-agent", reply).await
    }

    async fn should_accept_unknown_server_channel(&mut self, _id: ChannelId, kind: &str) -> bool {
        if self.tell(Attempt::Channel, kind).is_err() {
            tracing::warn!("the relay asks on and on for what it may not have");
        }
        false
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse("session", reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        host: &str,
        port: u32,
        _origin: &str,
        _origin_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse(&format!("direct-tcpip {host}:{port}"), reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse(&format!("direct-streamlocal {path}"), reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _address: &str,
        _port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.refuse("x11", reply).await
    }
}
