//! What was refused, in words and as one of the stable codes that audit records use.

use std::fmt;

/// The longest text of a peer that is kept for a record.
const MAX_TEXT: usize = 200;

/// A judge refused a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} ({code})")]
pub struct Refused {
    /// The stable code of the reason.
    pub code: &'static str,
    /// What is wrong, in words.
    pub detail: String,
}

impl Refused {
    /// Names a reason by its stable code, with what is wrong in words.
    #[must_use]
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

/// What a peer asked for that is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// A method of authentication other than a certificate.
    Method,
    /// A key without a certificate over it.
    BareKey,
    /// A certificate that cannot be read, or whose signature does not hold.
    Certificate,
    /// Something that was refused before the judge could see it: a certificate that is expired, not yet valid or
    /// badly signed, or a method nobody knows. The library decides these by itself and does not say which.
    Unjudged,
    /// A channel.
    Channel,
    /// A request, of the connection or of a channel.
    Request,
}

impl Attempt {
    /// Returns the stable code of the reason.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Method => "method_not_offered",
            Self::BareKey => "bare_key",
            Self::Certificate => "certificate_malformed",
            Self::Unjudged => "refused",
            Self::Channel | Self::Request => "request_not_offered",
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Method => "a method of authentication that is not offered",
            Self::BareKey => "a bare key",
            Self::Certificate => "a certificate that cannot be read",
            Self::Unjudged => "a login that was refused before it could be judged",
            Self::Channel => "a channel that is not offered",
            Self::Request => "a request that is not offered",
        })
    }
}

/// An attempt that was refused without asking the judge, for its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAttempt {
    /// What was attempted.
    pub attempt: Attempt,
    /// More of it, in words; may hold text of the peer, at most 200 bytes and without control characters.
    pub detail: String,
}

impl RefusedAttempt {
    pub(crate) fn new(attempt: Attempt, detail: impl fmt::Display) -> Self {
        Self {
            attempt,
            detail: bounded(&detail.to_string()),
        }
    }

    /// Returns the stable code of the reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.attempt.code()
    }
}

/// Cuts a text and takes its control characters out.
pub(crate) fn bounded(text: &str) -> String {
    let mut kept = String::new();
    for character in text.chars() {
        let shown = if character.is_control() {
            '\u{fffd}'
        } else {
            character
        };
        if kept.len() + shown.len_utf8() > MAX_TEXT {
            break;
        }
        kept.push(shown);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_bounded_part_of_foreign_text_and_no_control_characters() {
        let attempt = RefusedAttempt::new(Attempt::Method, format!("\x1b[2J{}", "é".repeat(1000)));
        assert!(attempt.detail.len() <= MAX_TEXT);
        assert!(attempt.detail.starts_with("\u{fffd}[2Jé"));
        assert_eq!(attempt.code(), "method_not_offered");
    }
}
