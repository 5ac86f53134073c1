//! What a pump has to know of its stream's way out.

use postern_domain::Reason;

/// What the holder of the stream has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To go on.
    Open,
    /// To reset the stream.
    Reset(Option<Reason>),
}

/// What the pump has to know about the way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing {
    /// What the holder has asked for.
    pub(crate) wish: Wish,
    /// Bytes that wait.
    pub(crate) waiting: usize,
    /// The holder has shut this direction down.
    pub(crate) shut: bool,
    /// The holder has let go of the stream.
    pub(crate) released: bool,
}
