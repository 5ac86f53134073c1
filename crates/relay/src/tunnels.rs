//! Gateways, at the SSH port: judged, entered in the routes, watched until their tunnel ends.

use std::net::SocketAddr;
use std::sync::Arc;

use postern_audit::{Durability, Event, Hop, Recorder, Source};
use postern_domain::{Reason, RelayId};
use postern_pki::VerifiedPeer;
use postern_ssh::{ServerConfig, Tunnel, TunnelStream};
use postern_transport::{Clock, Slot, Standing};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::judge::GatewayJudge;
use crate::reports::{Reports, note};
use crate::routes::{Route, Routes};

/// A tunnel as the routes know it.
#[derive(Debug, Clone)]
pub(crate) struct TunnelRoute {
    tunnel: Tunnel<Arc<VerifiedPeer>>,
}

impl TunnelRoute {
    /// Opens a stream to the gateway on behalf of a client at `source`.
    pub(crate) async fn open(&self, source: SocketAddr) -> Result<TunnelStream, postern_ssh::OpenError> {
        self.tunnel.open(source).await
    }

    /// Tells the gateway to open a tunnel elsewhere.
    pub(crate) fn drain(&self) {
        self.tunnel.drain();
    }
}

impl Route for TunnelRoute {
    fn is_open(&self) -> bool {
        self.tunnel.is_open()
    }

    fn close(&self, reason: Reason) {
        self.tunnel.close(reason.code());
    }
}

/// All that a gateway's connection is judged and served by.
#[derive(Debug)]
pub(crate) struct Tunnels {
    pub(crate) relay: RelayId,
    pub(crate) config: watch::Receiver<Arc<ServerConfig>>,
    pub(crate) judge: Arc<GatewayJudge>,
    pub(crate) standing: Standing,
    pub(crate) routes: Routes<TunnelRoute>,
    pub(crate) recorder: Recorder,
    pub(crate) reports: Reports,
    pub(crate) clock: Clock,
}

impl Tunnels {
    /// Serves one connection until its tunnel ends.
    pub(crate) async fn serve(&self, tcp: TcpStream, source: SocketAddr, slot: Slot) {
        let config = Arc::clone(&self.config.borrow());
        let tunnel = match postern_ssh::accept(tcp, source, config, Arc::clone(&self.judge)).await {
            Ok(tunnel) => tunnel,
            Err(error) => return self.note_login(&error, source).await,
        };
        drop(slot);
        let peer = Arc::clone(tunnel.verdict());
        let (Some(organization), Some(gateway)) = (peer.organization(), peer.gateway()) else {
            return;
        };
        let describe = |event: Event| {
            event
                .with_organization(organization)
                .with_gateway(gateway)
                .with_certificate(peer.serial().clone())
                .with_relay(self.relay)
                .with_source(Source::seen(source))
        };
        let event = describe(Event::allowed(Hop::RelaySsh, "tunnel.open", self.clock.now()));
        let recorded = self
            .recorder
            .record(
                TunnelRoute {
                    tunnel: tunnel.clone(),
                },
                event,
                Durability::Synced,
            )
            .await;
        let route = match recorded {
            Ok(recorded) => recorded.into_inner(),
            Err(error) => {
                tracing::error!(%error, "tunnel refused");
                return tunnel.close(Reason::NotRecorded.code());
            }
        };
        let lease = match self.routes.register(gateway, organization, route) {
            Ok(lease) => lease,
            Err(reason) => {
                note(
                    &self.recorder,
                    describe(Event::failed(
                        Hop::RelaySsh,
                        "tunnel.register",
                        reason,
                        self.clock.now(),
                    )),
                )
                .await;
                return tunnel.close(reason.code());
            }
        };
        tracing::info!(%gateway, %organization, %source, "tunnel open");
        let reason = tokio::select! {
            () = tunnel.closed() => Reason::ConnectionLost,
            reason = self.standing.lost(&peer) => reason,
        };
        drop(lease);
        tunnel.close(reason.code());
        tracing::info!(%gateway, %organization, %source, %reason, "tunnel closed");
        note(
            &self.recorder,
            describe(Event::ended(Hop::RelaySsh, "tunnel.close", self.clock.now()).with_reason(reason)),
        )
        .await;
    }

    async fn note_login(&self, error: &postern_ssh::AcceptError, source: SocketAddr) {
        // What the judge refused it has put on record itself.
        let Some(code) = error.unrecorded_code() else {
            return;
        };
        let reason = code.parse().unwrap_or(Reason::HandshakeFailed);
        let event = Event::refused(Hop::RelaySsh, "tunnel.open", reason, self.clock.now())
            .with_detail(&error.to_string())
            .with_relay(self.relay)
            .with_source(Source::seen(source));
        self.reports.note(&self.recorder, event).await;
    }
}
