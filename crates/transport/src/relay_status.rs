//! What the relay says to a client on the relay leg: one byte, after it has judged the client and before any
//! byte of the inner session. It is advice for messages and failover, never for trust.
//!
//! | byte | meaning |
//! | --- | --- |
//! | 0 | open: what follows comes from the gateway |
//! | 1 | the gateway has no tunnel to this relay |
//! | 2 | the organization or gateway has reached its limit |
//! | 3 | the relay is about to stop |
//! | 4 | refused, for any other reason |
//!
//! 1 to 3 are said only to a certificate that passed every check.

use std::io;

use postern_domain::Reason;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The ALPN protocol of the relay leg.
pub const ALPN_RELAY: &[u8] = b"postern-relay/1";
/// The ALPN protocol of the inner leg.
pub const ALPN_INNER: &[u8] = b"h2";

/// The relay's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelayStatus {
    /// A channel to the gateway is open.
    Open,
    /// The gateway has no tunnel to this relay.
    GatewayOffline,
    /// The organization or gateway has reached its limit.
    OverQuota,
    /// The relay is about to stop.
    Draining,
    /// Any other refusal.
    Refused,
}

/// The relay's answer did not arrive or means nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReadStatusError {
    /// The relay ended the connection without an answer; it may have refused the certificate in the handshake.
    #[error("the relay ended the connection without a status byte")]
    Ended(#[source] io::Error),
    /// The byte is none of the table's.
    #[error("the relay sent the status byte {0}, which has no meaning")]
    Unknown(u8),
}

impl ReadStatusError {
    /// Returns the reason's code.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            // An alert is the relay's own word; a bare end may have any cause.
            Self::Ended(error) if error.kind() == io::ErrorKind::InvalidData => Reason::Refused,
            Self::Ended(_) => Reason::ConnectionLost,
            Self::Unknown(_) => Reason::ProtocolViolation,
        }
    }
}

impl RelayStatus {
    /// Every status, in the order of its byte.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::GatewayOffline,
        Self::OverQuota,
        Self::Draining,
        Self::Refused,
    ];

    /// Returns the byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::GatewayOffline => 1,
            Self::OverQuota => 2,
            Self::Draining => 3,
            Self::Refused => 4,
        }
    }

    /// Returns the status of a byte.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.byte() == byte)
    }

    /// Returns why the connection was not opened; nothing for [`Self::Open`].
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Open => None,
            Self::GatewayOffline => Some(Reason::GatewayOffline),
            Self::OverQuota => Some(Reason::OverQuota),
            Self::Draining => Some(Reason::Draining),
            Self::Refused => Some(Reason::Refused),
        }
    }

    /// Returns what to say to a client that passed every check and still cannot be served.
    #[must_use]
    pub fn for_reason(reason: Reason) -> Self {
        Self::ALL
            .into_iter()
            .find(|s| s.reason() == Some(reason))
            .unwrap_or(Self::Refused)
    }

    /// Sends the byte.
    ///
    /// # Errors
    /// The stream's error.
    pub async fn write<IO: AsyncWrite + Unpin>(self, io: &mut IO) -> io::Result<()> {
        io.write_all(&[self.byte()]).await?;
        io.flush().await
    }

    /// Reads the byte and not one more. The caller sets the deadline.
    ///
    /// # Errors
    /// See [`ReadStatusError`].
    pub async fn read<IO: AsyncRead + Unpin>(io: &mut IO) -> Result<Self, ReadStatusError> {
        let mut byte = [0];
        io.read_exact(&mut byte).await.map_err(ReadStatusError::Ended)?;
        let [byte] = byte;
        Self::from_byte(byte).ok_or(ReadStatusError::Unknown(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_status_crosses_as_its_byte_and_takes_nothing_after_it() {
        for status in RelayStatus::ALL {
            let mut wire = Vec::new();
            status.write(&mut wire).await.unwrap();
            wire.push(22);
            let mut rest = wire.as_slice();
            assert_eq!(RelayStatus::read(&mut rest).await.unwrap(), status);
            assert_eq!(rest, [22]);
        }
    }

    #[tokio::test]
    async fn refuses_an_unknown_byte_and_an_early_end() {
        let unknown = RelayStatus::read(&mut [5_u8].as_slice()).await.unwrap_err();
        assert_eq!(unknown.reason(), Reason::ProtocolViolation);
        let ended = RelayStatus::read(&mut [].as_slice()).await.unwrap_err();
        assert_eq!(ended.reason(), Reason::ConnectionLost);
    }

    #[test]
    fn other_refusals_are_not_told_apart() {
        assert_eq!(RelayStatus::for_reason(Reason::OverQuota), RelayStatus::OverQuota);
        assert_eq!(RelayStatus::for_reason(Reason::Revoked), RelayStatus::Refused);
    }
}
