//! `postern connect`: a local port, or standard input and output, joined to a resource.

mod forward;
mod progress;
mod stdio;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use postern_agent::ApiError;
use postern_api::{CreateSession, Resource, SessionGranted};
use postern_client::{Connector, GrantError, GrantSource, Pool};
use postern_domain::{Protocol, ResourceId};
use postern_transport::{Clock, Drain, Signals};
use tokio::net::TcpListener;

pub use forward::forward;

use progress::Progress;

use crate::args::Connect;
use crate::noun::resource;
use crate::output::Output;
use crate::remote::Remote;

impl GrantSource for Remote {
    async fn grant(
        &self,
        resources: &[ResourceId],
        relay_csr: String,
        gateway_csr: String,
    ) -> Result<SessionGranted, GrantError> {
        let request = CreateSession {
            resources: resources.to_vec(),
            relay_csr,
            gateway_csr,
        };
        self.api
            .create_session(&self.token, &request)
            .await
            .map_err(|error| not_granted(&error))
    }
}

/// Says why the platform granted no session.
#[must_use]
pub fn not_granted(error: &ApiError) -> GrantError {
    GrantError {
        reason: error.reason(),
        detail: error.to_string(),
    }
}

/// Does it.
pub(crate) async fn run(args: Connect, remote: &Remote, clock: &Clock, out: Output) -> anyhow::Result<()> {
    let found = resource::find(remote, &args.resource).await?;
    let progress = Progress::new(&args.resource);
    let connector = Connector::new(remote.clone(), clock.clone());
    let pool = Arc::new(Pool::new(connector, vec![found.id]).with_progress({
        let progress = progress.clone();
        move |stage| progress.show(&stage)
    }));
    // The whole way is tried before anything is promised.
    let session = pool.session().await.inspect_err(|_| progress.done())?;
    if args.stdio {
        return stdio::join(pool.open(found.id, found.port).await?).await;
    }
    let at = args
        .listen
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let listener = TcpListener::bind(at)
        .await
        .with_context(|| format!("cannot listen on {at}"))?;
    let address = listener.local_addr()?;
    let until = session.expires();
    drop(session);
    out.say(
        &serde_json::json!({ "address": address, "resource": found.id, "session_expires": until }),
        &format!(
            "{} is at {address} until {until}; end with Ctrl-C\n  {}",
            args.resource,
            hint(&found, address)
        ),
    )?;
    let (hand, drain) = Drain::new();
    let signals = Signals::listen().context("signals")?;
    signals
        .govern(hand, forward(listener, pool, found.id, found.port, drain))
        .await;
    Ok(())
}

/// Returns a command that fits what the resource speaks.
#[must_use]
pub fn hint(resource: &Resource, at: SocketAddr) -> String {
    let (host, port) = (at.ip(), at.port());
    match resource.protocol {
        Protocol::Postgres => format!("psql 'host={host} port={port}'"),
        Protocol::Ssh => format!("ssh -p {port} -o HostKeyAlias={} {host}", resource.name),
        Protocol::Http => format!("curl http://{at}/"),
        Protocol::Https => format!("curl --connect-to ::{at} https://{}/", resource.host),
        Protocol::Kubernetes => format!(
            "kubectl --server https://{at} --tls-server-name {} get nodes",
            resource.host
        ),
        Protocol::Tcp => format!("nc {host} {port}"),
    }
}
