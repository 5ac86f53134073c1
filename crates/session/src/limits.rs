//! What one session may cost.

use std::time::Duration;

/// The largest DATA frame, in bytes, that either side offers to take.
pub(crate) const FRAME: usize = 64 * 1024;

/// The bounds of one session. They hold for whichever side sets them and are told to the peer where HTTP/2
/// has a setting for them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Streams open at once.
    pub streams: u32,
    /// Bytes that the peer may send on one stream before they are read, to begin with.
    pub stream_window: u32,
    /// The same, once the path has shown that it holds so much in a round trip.
    pub largest_stream_window: u32,
    /// Bytes that the peer may send on all streams before they are read: the bound of the session's memory
    /// for what arrives.
    pub session_window: u32,
    /// Bytes that one stream takes from its writer before they leave.
    pub send_buffer: usize,
    /// For how long a stream may stand unread while unread bytes fill more than half of the session's window,
    /// and for how long a stream that its holder has dropped may take to send what was written.
    pub stall: Duration,
    /// For how long the peer may take to begin: its preface, its SETTINGS.
    pub handshake: Duration,
    /// For how long an ending session may take to tell its peer why.
    pub close: Duration,
    /// Bytes of a list of header fields, counted as RFC 9113 section 6.5.2 says.
    pub header_list: u32,
    /// Streams that the peer may have reset before anybody looked at them.
    pub pending_resets: usize,
    /// Streams that may be reset for breaking the protocol in a session's life.
    pub error_resets: usize,
    /// Streams that the peer may give up before they are answered, beyond one for every answered one.
    pub abandoned: u32,
    /// Frames that are neither part of a stream nor give back window (SETTINGS, PING, PRIORITY, empty DATA,
    /// unknown ones) that the peer may send in ten seconds.
    pub control_frames: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 1024,
            stream_window: 1024 * 1024,
            largest_stream_window: 16 * 1024 * 1024,
            session_window: 128 * 1024 * 1024,
            send_buffer: 2 * FRAME,
            stall: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            close: Duration::from_secs(1),
            header_list: 4096,
            pending_resets: 64,
            error_resets: 1024,
            abandoned: 1024,
            control_frames: 10_000,
        }
    }
}

impl Limits {
    /// Bytes read by the library between two times that the driver empties it: what can pile up inside.
    pub(crate) const TURN: usize = 256 * 1024;

    /// The budget for the overhead of small frames: no turn can exhaust it, since the smallest frame takes ten
    /// bytes on the wire and at most 256 of the budget, and every turn takes out what came in.
    pub(crate) const SMALL_FRAME_BUDGET: usize = (Self::TURN + FRAME) / 10 * 256 * 2;

    /// Streams that are remembered after we have reset them, and for how long. What the peer had sent by then is
    /// dropped quietly; for a stream that is forgotten it would count as an error of the peer's.
    pub(crate) const RESETS_REMEMBERED: usize = 4096;
    /// See [`Self::RESETS_REMEMBERED`].
    pub(crate) const RESETS_REMEMBERED_FOR: Duration = Duration::from_secs(15);

    /// Bytes that a reader may have taken without the window being given back. The library would otherwise be
    /// locked for every byte that is read.
    pub(crate) const UNRELEASED: usize = 8 * 1024;

    /// Returns the connection window: never so small that what readers have not given back could fill it.
    pub(crate) fn connection_window(&self) -> u32 {
        let unreleased = u32::try_from(Self::UNRELEASED).unwrap_or(u32::MAX);
        let floor = self
            .streams
            .saturating_mul(unreleased)
            .saturating_add(self.stream_window);
        self.session_window.max(floor).min((1 << 31) - 1)
    }
}
