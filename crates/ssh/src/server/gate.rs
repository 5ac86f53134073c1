//! What the library asks us about a peer, and how we answer: with a certificate and the one tunnel, yes; else no.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postern_sshkey::Certificate;
use russh::keys::Certificate as LibraryCertificate;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty, Sig};
use tokio::sync::oneshot;

use super::{Judge, Offered};
use crate::convert::from_library;
use crate::refusal::{Attempt, RefusedAttempt};
use crate::{TUNNEL_ADDRESS, TUNNEL_PORT};

/// How often a peer may be refused something once it is authenticated; one that asks on is cut off, lest it fill
/// the records.
const MAX_REFUSALS: usize = 16;
/// How many keys a peer may ask about.
const MAX_OFFERS: usize = 32;

/// What a peer has come to, told to the caller of `accept` when it fails.
#[derive(Debug, Default)]
pub(super) struct Login {
    begun: AtomicBool,
    refused: AtomicBool,
    admitted: AtomicBool,
}

impl Login {
    /// Says whether the peer asked for authentication at all.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Says whether it was refused something that the judge was told of.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// Says whether it tried and was refused by the library, which tells nobody.
    pub(super) fn was_unjudged(&self) -> bool {
        self.has_begun() && !self.was_refused() && !self.admitted.load(Ordering::Acquire)
    }
}

/// Who was admitted.
#[derive(Debug)]
pub(super) struct Proven<V> {
    pub(super) verdict: V,
    pub(super) certificate: Certificate,
}

/// A session ended because of what happened in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum GateError {
    #[error(transparent)]
    Library(#[from] russh::Error),
    #[error("the peer asked too often for what it may not have")]
    TooManyRefusals,
}

/// Answers the library for one connection.
pub(super) struct Gate<J: Judge> {
    judge: Arc<J>,
    peer: SocketAddr,
    login: Arc<Login>,
    proven: Option<Proven<J::Verdict>>,
    opened: Option<oneshot::Sender<Proven<J::Verdict>>>,
    offers: usize,
    refusals: usize,
}

impl<J: Judge> Gate<J> {
    pub(super) fn new(
        judge: Arc<J>,
        peer: SocketAddr,
        login: Arc<Login>,
        opened: oneshot::Sender<Proven<J::Verdict>>,
    ) -> Self {
        Self {
            judge,
            peer,
            login,
            proven: None,
            opened: Some(opened),
            offers: 0,
            refusals: 0,
        }
    }

    /// Tells the judge; fails when it has been told too often.
    fn refuse(&mut self, attempt: Attempt, detail: impl std::fmt::Display) -> Result<(), GateError> {
        self.login.refused.store(true, Ordering::Release);
        self.judge
            .refused(RefusedAttempt::new(attempt, detail), self.peer);
        self.refusals += 1;
        if self.refusals >= MAX_REFUSALS {
            return Err(GateError::TooManyRefusals);
        }
        Ok(())
    }

    async fn refuse_channel(&mut self, kind: &str, reply: ChannelOpenHandle) -> Result<(), GateError> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        self.refuse(Attempt::Channel, kind)
    }

    fn refuse_request(
        &mut self,
        name: &str,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), GateError> {
        session.channel_failure(channel)?;
        self.refuse(Attempt::Request, name)
    }
}

/// Says no, and that only public keys are worth trying.
fn reject() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(MethodSet::from(&[MethodKind::PublicKey][..])),
        partial_success: false,
    }
}

impl<J: Judge> Handler for Gate<J> {
    type Error = GateError;

    async fn authentication_banner(&mut self) -> Result<Option<String>, GateError> {
        self.login.begun.store(true, Ordering::Release);
        Ok(None)
    }

    /// Asked by OpenSSH to learn the methods; it is answered and nothing more.
    async fn auth_none(&mut self, _user: &str) -> Result<Auth, GateError> {
        Ok(reject())
    }

    async fn auth_password(&mut self, user: &str, _password: &str) -> Result<Auth, GateError> {
        self.refuse(Attempt::Method, format_args!("password for {user}"))?;
        Ok(reject())
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        _response: Option<Response<'a>>,
    ) -> Result<Auth, GateError> {
        self.refuse(Attempt::Method, format_args!("keyboard-interactive for {user}"))?;
        Ok(reject())
    }

    /// Only asks whether to go on and sign; what it names is judged when it is proven, and not before.
    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, GateError> {
        self.offers += 1;
        if self.offers > MAX_OFFERS {
            return Err(GateError::TooManyRefusals);
        }
        Ok(Auth::Accept)
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, GateError> {
        let fingerprint = key.public_key.fingerprint(russh::keys::HashAlg::Sha256);
        self.refuse(Attempt::BareKey, format_args!("{fingerprint} for {user}"))?;
        Ok(reject())
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &LibraryCertificate,
    ) -> Result<Auth, GateError> {
        let certificate = match from_library(certificate) {
            Ok(certificate) => certificate,
            Err(error) => {
                self.refuse(Attempt::Certificate, error)?;
                return Ok(reject());
            }
        };
        let offered = Offered {
            certificate: &certificate,
            user,
            peer: self.peer,
        };
        match self.judge.judge(offered) {
            Ok(verdict) => {
                self.login.admitted.store(true, Ordering::Release);
                self.proven = Some(Proven { verdict, certificate });
                Ok(Auth::Accept)
            }
            Err(refused) => {
                tracing::debug!(%refused, peer = %self.peer, "certificate refused");
                self.login.refused.store(true, Ordering::Release);
                Ok(reject())
            }
        }
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _session: &mut Session,
    ) -> Result<bool, GateError> {
        if address == TUNNEL_ADDRESS
            && *port == TUNNEL_PORT
            && let Some(proven) = self.proven.take()
            && let Some(opened) = self.opened.take()
        {
            // Nobody waits any more when the deadline has just passed.
            return Ok(opened.send(proven).is_ok());
        }
        self.refuse(Attempt::Request, format_args!("tcpip-forward {address}:{port}"))?;
        Ok(false)
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _session: &mut Session,
    ) -> Result<bool, GateError> {
        self.refuse(
            Attempt::Request,
            format_args!("cancel-tcpip-forward {address}:{port}"),
        )?;
        Ok(false)
    }

    async fn streamlocal_forward(&mut self, path: &str, _session: &mut Session) -> Result<bool, GateError> {
        self.refuse(Attempt::Request, format_args!("streamlocal-forward {path}"))?;
        Ok(false)
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        _session: &mut Session,
    ) -> Result<bool, GateError> {
        self.refuse(
            Attempt::Request,
            format_args!("cancel-streamlocal-forward {path}"),
        )?;
        Ok(false)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_channel("session", reply).await
    }

    async fn channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _origin: &str,
        _origin_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_channel("x11", reply).await
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        host: &str,
        port: u32,
        _origin: &str,
        _origin_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_channel(&format!("direct-tcpip {host}:{port}"), reply)
            .await
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        host: &str,
        port: u32,
        _origin: &str,
        _origin_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_channel(&format!("forwarded-tcpip {host}:{port}"), reply)
            .await
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_channel(&format!("direct-streamlocal {path}"), reply)
            .await
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_request("pty-req", channel, session)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_request("x11-req", channel, session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_request("env", channel, session)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), GateError> {
        self.refuse_request("shell", channel, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_request("exec", channel, session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse_request(&format!("subsystem {name}"), channel, session)
    }

    async fn agent_request(
        &mut self,
        _channel: ChannelId,
        _session: &mut Session,
    ) -> Result<bool, GateError> {
        self.refuse(Attempt::Request, "auth-agent-req@openssh.com")?;
        Ok(false)
    }

    async fn signal(
        &mut self,
        _channel: ChannelId,
        _signal: Sig,
        _session: &mut Session,
    ) -> Result<(), GateError> {
        self.refuse(Attempt::Request, "signal")
    }
}
