//! Requests and answers over a small pool of connections.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use postern_api::ListQuery;
use postern_domain::{Reason, RequestId, Secret, Target, printable};
use postern_transport::PinnedConnector;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::Deadlines;
use super::line::{Answer, LONGEST, Line, LineError};
use crate::error::ApiError;

/// How many requests are under way at once; whoever comes then waits, within its deadline.
const CONCURRENT: usize = 8;
/// How many connections are kept for later.
const IDLE: usize = 4;
/// For how long: less than any server keeps one.
const IDLE_FOR: Duration = Duration::from_secs(20);

/// Sends requests.
#[derive(Debug)]
pub(super) struct Exchange {
    address: Target,
    authority: String,
    connector: PinnedConnector,
    deadlines: Deadlines,
    idle: Mutex<Vec<Line>>,
    turns: Semaphore,
}

impl Exchange {
    pub(super) fn new(address: Target, connector: PinnedConnector, deadlines: Deadlines) -> Self {
        Self {
            authority: address.to_string(),
            address,
            connector,
            deadlines,
            idle: Mutex::new(Vec::new()),
            turns: Semaphore::new(CONCURRENT),
        }
    }

    pub(super) const fn address(&self) -> &Target {
        &self.address
    }

    /// Sends one request and returns the body of a good answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret<String>>,
        body: Option<Bytes>,
    ) -> Result<Bytes, ApiError> {
        let request = self.request(method, path, token, body)?;
        let within = self.deadlines.request;
        let answer = match timeout(within, self.answer(request)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(self.timeout("answering", within)),
        };
        if answer.status.is_success() {
            Ok(answer.body)
        } else {
            Err(self.refusal(&answer))
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&Secret<String>>,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, ApiError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, "application/json, application/problem+json")
            .header(header::USER_AGENT, concat!("postern/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .map_err(|_| ApiError::Unsendable("the token has characters that no token has".into()))?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| ApiError::Unsendable(error.to_string()))
    }

    async fn answer(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, ApiError> {
        // The semaphore is never closed.
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|e| ApiError::Unsendable(e.to_string()))?;
        while let Some(line) = self.idle_line().await {
            match self.exchange(line, request).await {
                Err(LineError::NotSent(again)) => request = *again,
                done => return done.map_err(|error| self.lost(error)),
            }
        }
        let line = self.connect().await?;
        self.exchange(line, request)
            .await
            .map_err(|error| self.lost(error))
    }

    async fn exchange(&self, mut line: Line, request: Request<Full<Bytes>>) -> Result<Answer, LineError> {
        let answer = line.exchange(request).await?;
        if answer.reusable {
            line.used = Instant::now();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE {
                idle.push(line);
            }
        }
        Ok(answer)
    }

    /// Takes the connection that was used last, if it is still good.
    async fn idle_line(&self) -> Option<Line> {
        loop {
            let mut line = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if line.used.elapsed() < IDLE_FOR && line.is_open().await {
                return Some(line);
            }
        }
    }

    async fn connect(&self) -> Result<Line, ApiError> {
        let within = self.deadlines.connect;
        match timeout(within, self.connect_now()).await {
            Ok(line) => line,
            Err(_) => Err(self.timeout("connecting", within)),
        }
    }

    async fn connect_now(&self) -> Result<Line, ApiError> {
        let unreachable = |cause: String| ApiError::Unreachable {
            address: self.address.clone(),
            cause,
        };
        let host = self.address.host.to_string();
        let tcp = TcpStream::connect((host.as_str(), self.address.port.get()))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        tcp.set_nodelay(true)
            .map_err(|error| unreachable(error.to_string()))?;
        let deadline = Instant::now() + self.deadlines.connect;
        let secured = self.connector.connect(tcp, &self.address.host, deadline).await;
        let secured = secured.map_err(|error| {
            if error.reason == Reason::HandshakeTimeout {
                return self.timeout("connecting", self.deadlines.connect);
            }
            ApiError::Tls {
                address: self.address.clone(),
                reason: error.reason,
                detail: error.detail,
            }
        })?;
        Line::new(secured.stream)
            .await
            .map_err(|error| unreachable(error.to_string()))
    }

    fn timeout(&self, deed: &'static str, within: Duration) -> ApiError {
        ApiError::Timeout {
            address: self.address.clone(),
            deed,
            within,
        }
    }

    fn lost(&self, error: LineError) -> ApiError {
        let address = self.address.clone();
        match error {
            LineError::NotSent(_) => ApiError::Unreachable {
                address,
                cause: "the connection ended at once".into(),
            },
            LineError::Lost(error) if error.is_parse() => ApiError::Unreadable {
                address,
                detail: format!("not HTTP: {error}"),
            },
            LineError::Lost(error) => ApiError::Unreachable {
                address,
                cause: format!("the connection was lost: {error}"),
            },
            LineError::TooLong => ApiError::Unreadable {
                address,
                detail: format!("it is longer than {LONGEST} bytes"),
            },
            LineError::BrokenOff(cause) => ApiError::Unreachable {
                address,
                cause: format!("the connection was lost within the answer: {cause}"),
            },
        }
    }

    /// Reads a problem (RFC 9457). A code that this version does not know, or no problem at all, is told by the status.
    fn refusal(&self, answer: &Answer) -> ApiError {
        #[derive(Deserialize)]
        struct Problem {
            code: String,
            detail: String,
            request: Option<RequestId>,
        }
        let status = answer.status.as_u16();
        match serde_json::from_slice::<Problem>(&answer.body) {
            Ok(problem) => ApiError::Refused {
                status,
                code: problem.code.parse().unwrap_or_else(|_| reason_of(status)),
                detail: printable(&problem.detail),
                request: problem.request,
            },
            Err(_) if status >= 400 => ApiError::Refused {
                status,
                code: reason_of(status),
                detail: format!("it answered {}", answer.status),
                request: None,
            },
            Err(_) => ApiError::Unreadable {
                address: self.address.clone(),
                detail: format!("it answered {}", answer.status),
            },
        }
    }
}

const fn reason_of(status: u16) -> Reason {
    match status {
        400 => Reason::InvalidRequest,
        401 => Reason::Unauthenticated,
        403 => Reason::Forbidden,
        404 => Reason::NotFound,
        409 => Reason::Conflict,
        413 => Reason::TooLarge,
        422 => Reason::Unprocessable,
        429 => Reason::RateLimited,
        502..=504 => Reason::Unavailable,
        500.. => Reason::Internal,
        _ => Reason::Refused,
    }
}

/// Encodes the body of a request.
pub(super) fn body<B: Serialize>(body: &B) -> Result<Bytes, ApiError> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| ApiError::Unsendable(error.to_string()))
}

/// Writes a query, with its question mark; empty if nothing is asked.
pub(super) fn query_text(query: &ListQuery) -> String {
    let ListQuery { limit, after, name } = query;
    let limit = limit.map(|l| l.to_string());
    let mut text = String::new();
    for (key, value) in [
        ("limit", limit.as_deref()),
        ("after", after.as_deref()),
        ("name", name.as_deref()),
    ] {
        if let Some(value) = value {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(key);
            text.push('=');
            for byte in value.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        text.push(char::from(byte))
                    }
                    _ => text.push_str(&format!("%{byte:02X}")),
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_is_asked_and_hides_nothing_in_it() {
        assert_eq!(query_text(&ListQuery::default()), "");
        let query = ListQuery {
            limit: Some(5),
            after: Some("a&b=c".into()),
            name: Some("ä b".into()),
        };
        assert_eq!(query_text(&query), "?limit=5&after=a%26b%3Dc&name=%C3%A4%20b");
    }
}
