//! A local port whose connections are carried to a resource.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_client::{GrantSource, Pool, Stream};
use postern_domain::{Port, ResourceId, printable};
use postern_transport::{AcceptLimits, Drain, Duplex as _, Rate, Slot, WithReset, copy_two_way};
use tokio::net::{TcpListener, TcpStream};

use crate::say;

/// Carries each connection to the resource until the drain begins. One that cannot be carried is reset, and why is
/// said on standard error.
pub async fn forward<S: GrantSource + 'static>(
    listener: TcpListener,
    pool: Arc<Pool<S>>,
    resource: ResourceId,
    port: Port,
    drain: Drain,
) {
    // Whoever can dial a loopback port is this computer's own; the bounds are for accidents.
    let limits = AcceptLimits {
        concurrent_total: 16_384,
        concurrent_per_source: 16_384,
        rate_per_source: Rate {
            per_second: 1_000_000,
            burst: 1_000_000,
        },
        drain_deadline: Duration::from_secs(1),
        ..AcceptLimits::default()
    };
    let shed = |_: SocketAddr, reason| say(&format!("a connection was refused: {reason}"));
    let handler = |tcp: TcpStream, _: SocketAddr, slot: Slot| {
        let pool = Arc::clone(&pool);
        async move {
            slot.release();
            match pool.open(resource, port).await {
                Ok(stream) => {
                    copy_two_way(tcp, WithReset::new(stream, Stream::reset), std::future::pending()).await;
                }
                Err(error) => {
                    say(&printable(&error.to_string()));
                    tcp.reset();
                }
            }
        }
    };
    postern_transport::serve(listener, limits, drain, shed, handler).await;
}
