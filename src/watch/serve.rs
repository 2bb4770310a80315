//! Counters and health over HTTP, for what runs on the same machine.
//!
//! Two pages, without any choice of a client's; connections are few and short, so that nobody can keep a watch busy.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Tally;

/// Connections at the same time; further ones wait.
const CONNECTIONS_MAX: usize = 16;

/// How long a connection may last.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// How long to leave alone a listener that cannot accept: there may be no file handle left.
const BREATH: Duration = Duration::from_millis(100);

/// What Prometheus expects of the text.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `/metrics` and `/health` until it is dropped.
///
/// # Errors
/// When the listener is none that a runtime can use.
pub async fn serve(listener: std::net::TcpListener, tally: Arc<Tally>, clock: fn() -> DateTime<Utc>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, _)) => {
                let tally = Arc::clone(&tally);
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_MAX, connection(stream, &tally, clock)).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

async fn connection(stream: TcpStream, tally: &Tally, clock: fn() -> DateTime<Utc>) {
    let answer = service_fn(|request| std::future::ready(Ok::<_, Infallible>(page(&request, tally, clock()))));
    let mut http = http1::Builder::new();
    http.keep_alive(false).timer(TokioTimer::new());
    // A client that breaks off is its own business.
    let _ = http.serve_connection(TokioIo::new(stream), answer).await;
}

fn page(request: &Request<Incoming>, tally: &Tally, now: DateTime<Utc>) -> Response<Full<Bytes>> {
    let plain = "text/plain; charset=utf-8";
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, kind, text) = match request.uri().path() {
        "/metrics" if is_read => (StatusCode::OK, EXPOSITION, tally.text(now)),
        "/health" if is_read => match tally.troubles(now) {
            troubles if troubles.is_empty() => (StatusCode::OK, plain, "ok\n".to_owned()),
            troubles => (StatusCode::SERVICE_UNAVAILABLE, plain, troubles),
        },
        _ => (StatusCode::NOT_FOUND, plain, "there are /metrics and /health\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
