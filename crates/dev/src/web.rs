//! The built-in private web service: something to reach, on loopback, that no one can reach but the gateway.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | a page that says where you are |
//! | `POST /echo` | the request's body, as it comes in |

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use postern_transport::{AcceptLimits, Drain};
use tokio::net::TcpListener;

const PAGE: &str = "<!doctype html><title>Postern</title>\n\
    <h1>You are inside.</h1>\n\
    <p>This page is served in a private network that has no open inbound port. Your request went through a relay \
    that could not read it, and was let in by a gateway that asked who you are.</p>\n";

type Body = Either<Full<Bytes>, Incoming>;

/// Serves until the drain begins.
pub async fn serve(listener: TcpListener, drain: Drain) {
    let limits = AcceptLimits {
        drain_deadline: std::time::Duration::from_secs(1),
        ..AcceptLimits::default()
    };
    let handler = |stream, _: SocketAddr, slot: postern_transport::Slot| async move {
        slot.release();
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        if let Err(error) = connection.await {
            tracing::debug!(%error, "web service");
        }
    };
    postern_transport::serve(listener, limits, drain, |_, _| (), handler).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let page = |status, text: &'static str| {
        let mut response = Response::new(Either::Left(Full::new(Bytes::from_static(text.as_bytes()))));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    };
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => page(StatusCode::OK, PAGE),
        (&Method::POST, "/echo") => Response::new(Either::Right(request.into_body())),
        _ => page(
            StatusCode::NOT_FOUND,
            "<!doctype html><p>There is nothing here.</p>\n",
        ),
    })
}
