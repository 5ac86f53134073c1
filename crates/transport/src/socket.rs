//! TCP sockets as everything here wants them: small writes are sent at once, and a peer that fell silent is
//! noticed after ten seconds instead of fifteen minutes of kernel retransmission.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long sent bytes may stay unacknowledged.
pub const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sets TCP_NODELAY, TCP_USER_TIMEOUT and keepalive (every 3 s, three strikes) on a socket.
///
/// # Errors
/// The system's error, for instance when the peer has already reset the connection.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(3))
        .with_interval(Duration::from_secs(3))
        .with_retries(3);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_tcp_keepalive(&keepalive)
}

/// Connects to an address and prepares the socket.
///
/// # Errors
/// The system's error, or `TimedOut` when the deadline passes first.
pub async fn connect(address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout_at(deadline, TcpStream::connect(address))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    prepare(&stream)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn sockets_notice_a_silent_peer_in_ten_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let stream = connect(listener.local_addr().unwrap(), deadline).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(stream.nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(3));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }
}
