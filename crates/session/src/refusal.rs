//! The session of a client that is not admitted: SETTINGS that allow no stream, GOAWAY that says why.
//!
//! The two frames are constants but for the code, so no HTTP/2 state is kept for somebody who was refused.

use postern_domain::Reason;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::codes::error_code;
use crate::limits::Limits;

/// Bytes of a refused client that are read and dropped, so that its last writes do not turn the end of the
/// connection into a reset that overtakes the reason.
const LINGER: u64 = 64 * 1024;

/// Returns SETTINGS with MAX_CONCURRENT_STREAMS 0 (RFC 9113 section 6.5) and GOAWAY with the reason's code
/// (section 6.8).
fn frames(reason: Reason) -> [u8; 32] {
    let [a, b, c, d] = error_code(reason).to_be_bytes();
    [
        0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, // SETTINGS
        0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, // GOAWAY
    ]
}

/// Tells the peer why it is refused, then waits for it to hang up, for as long as an ending session may take.
pub(crate) async fn refuse<IO>(mut io: IO, reason: Reason, limits: &Limits)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let telling = async {
        io.write_all(&frames(reason)).await?;
        io.flush().await?;
        io.shutdown().await?;
        tokio::io::copy(&mut (&mut io).take(LINGER), &mut tokio::io::sink()).await
    };
    match tokio::time::timeout(limits.close, telling).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a refused client was gone before it was told"),
        Err(_) => tracing::debug!("a refused client did not hang up"),
    }
}
