//! Errors: `application/problem+json` (RFC 9457) with a member `code`.

use postern_domain::{Reason, RequestId};
use serde::{Deserialize, Serialize};

/// Why a request was not met.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank`: the code says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// The stable code.
    pub code: Reason,
    /// What is wrong and what to do, for a person.
    pub detail: String,
    /// The request's id, as in the log and the audit record.
    pub request: RequestId,
}
