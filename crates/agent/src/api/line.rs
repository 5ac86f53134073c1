//! One HTTP/1.1 connection to the platform. It is driven by the request that uses it and by nothing else, so
//! there is no task to join: a connection that nobody uses lies still.

use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// The longest answer that is read, in bytes.
pub(super) const LONGEST: usize = 4 << 20;
/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

type Driver = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// An open connection.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    /// When it was last used.
    pub(super) used: Instant,
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// Whether the connection can carry another request.
    pub(super) reusable: bool,
}

/// Why there is no answer.
pub(super) enum LineError {
    /// The connection had ended before anything of the request was sent: it can be sent again on another.
    NotSent(Box<Request<Full<Bytes>>>),
    /// The connection was lost, or what came is not HTTP.
    Lost(hyper::Error),
    /// The answer is longer than [`LONGEST`].
    TooLong,
    /// The answer's body broke off.
    BrokenOff(String),
}

impl Line {
    /// Takes a connected stream.
    pub(super) async fn new<IO>(stream: IO) -> Result<Self, hyper::Error>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(LONGEST_HEAD);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            driver: Box::pin(connection),
            used: Instant::now(),
        })
    }

    /// Returns whether the platform has not ended the idle connection meanwhile.
    pub(super) async fn is_open(&mut self) -> bool {
        let ended = std::future::poll_fn(|cx| Poll::Ready(self.driver.as_mut().poll(cx).is_ready())).await;
        !ended && self.sender.is_ready()
    }

    /// Sends a request and reads the whole answer. After an error, or if it is dropped, the connection is lost.
    pub(super) async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, LineError> {
        let sender = &mut self.sender;
        let answer =
            async move {
                let response = sender.try_send_request(request).await.map_err(|mut error| {
                    match error.take_message() {
                        Some(request) => LineError::NotSent(Box::new(request)),
                        None => LineError::Lost(error.into_error()),
                    }
                })?;
                let (head, body) = response.into_parts();
                let body = Limited::new(body, LONGEST).collect().await.map_err(|error| {
                    if error.is::<LengthLimitError>() {
                        LineError::TooLong
                    } else {
                        LineError::BrokenOff(error.to_string())
                    }
                })?;
                let close = HeaderValue::from_static("close");
                Ok(Answer {
                    status: head.status,
                    body: body.to_bytes(),
                    reusable: head.headers.get(header::CONNECTION) != Some(&close),
                })
            };
        let mut answer = pin!(answer);
        let ended = tokio::select! {
            biased;
            answer = &mut answer => return answer,
            ended = &mut self.driver => ended,
        };
        // The connection is over; whatever it read is with the answer, and the answer is whole or broken off.
        let answer = answer.await;
        match (answer, ended) {
            (Ok(answer), _) => Ok(Answer {
                reusable: false,
                ..answer
            }),
            (Err(LineError::Lost(_)), Err(error)) => Err(LineError::Lost(error)),
            (Err(error), _) => Err(error),
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}
