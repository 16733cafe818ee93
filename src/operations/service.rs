//! How the operations API is carried: the only file of this room that knows Pingora.
//!
//! [`OperationsApp`] serves it on a port of its own; [`answer`] answers one request on a session, which
//! is how the gateway port carries it. Pingora's own `ServeHttp` was not used for it: it keeps
//! connections open that the client asked to close, and knows nothing of HEAD.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::uri::Authority;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::ErrorType;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use pingora::services::listening::Service;

use super::Operations;
use super::message::{Port, Request, Response};
use crate::domain::ErrorCode;

/// The largest request body that is read, in bytes: far more than any write of this API needs.
const MAX_BODY_BYTES: usize = 64 << 10;

/// How much of a larger one is read all the same, in bytes: closing on a client that is still sending would
/// reset the connection, and it would not see the answer.
const MAX_DRAINED_BYTES: usize = 1 << 20;

/// How long a request body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may be idle between requests, in seconds.
const KEEPALIVE_SECONDS: u64 = 60;

/// The operations API on a port of its own.
pub struct OperationsApp(Arc<Operations>);

impl OperationsApp {
    /// The Pingora service; listeners are added by the composition root.
    pub fn service(operations: Arc<Operations>) -> Service<OperationsApp> {
        Service::new("operations".to_owned(), OperationsApp(operations))
    }
}

#[async_trait]
impl HttpServerApp for OperationsApp {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        match session.read_request().await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(cause) => {
                log::debug!("an operations request could not be read: {cause}");
                if matches!(cause.etype(), ErrorType::InvalidHTTPHeader) {
                    let _ = session.respond_error(400).await;
                }
                return None;
            }
        }
        // Reading the request has set what the client wants; it is only ever shortened here.
        if session.get_keepalive().is_some() {
            session.set_keepalive((!*shutdown.borrow()).then_some(KEEPALIVE_SECONDS));
        }
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        if let Err(cause) = answer(&self.0, &mut session, Port::Operations).await {
            log::debug!("an operations answer could not be sent: {cause}");
            return None;
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

/// Answers the request whose header `session` has read, and says with what status.
///
/// # Errors
/// If the answer can't be sent; the connection is of no use then.
pub async fn answer(
    operations: &Operations,
    session: &mut ServerSession,
    on: Port,
) -> pingora::Result<StatusCode> {
    let response = match tokio::time::timeout(BODY_TIMEOUT, read_body(session)).await {
        Ok(Ok(body)) => operations.dispatch(&request(session, &body, on)),
        Ok(Err(refused)) => unread(session, refused),
        Err(_) => unread(session, Unread::Late),
    };
    let head = session.req_header().method == Method::HEAD;
    let status = response.status;
    session.write_response_header(Box::new(response_header(&response)?)).await?;
    let body = if head { Bytes::new() } else { response.body };
    session.write_response_body(body, true).await?;
    Ok(status)
}

/// Why a body was not read to its end.
#[derive(Clone, Copy)]
enum Unread {
    TooLarge,
    Late,
    Broken,
}

async fn read_body(session: &mut ServerSession) -> Result<Bytes, Unread> {
    if session.is_body_empty() {
        return Ok(Bytes::new());
    }
    let expects = session.get_header(header::EXPECT);
    if expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        session.write_continue_response().await.map_err(|_| Unread::Broken)?;
    }
    let mut body = BytesMut::new();
    let mut read = 0;
    while let Some(chunk) = session.read_request_body().await.map_err(|_| Unread::Broken)? {
        read += chunk.len();
        if read <= MAX_BODY_BYTES {
            body.extend_from_slice(&chunk);
        } else if read > MAX_DRAINED_BYTES {
            break;
        }
    }
    if read > MAX_BODY_BYTES { Err(Unread::TooLarge) } else { Ok(body.freeze()) }
}

/// The answer to a body that was not read; what is left of it would be taken for the next request.
fn unread(session: &mut ServerSession, why: Unread) -> Response {
    session.set_keepalive(None);
    let (status, code, message) = match why {
        Unread::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::RequestTooLarge, "The body is larger than 64 KiB.")
        }
        Unread::Late => {
            (StatusCode::REQUEST_TIMEOUT, ErrorCode::Timeout, "The body did not arrive within 10 seconds.")
        }
        Unread::Broken => (StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, "The body could not be read."),
    };
    Response::error(status, code.name(), message)
}

fn request<'a>(session: &'a ServerSession, body: &'a [u8], on: Port) -> Request<'a> {
    let header = session.req_header();
    Request {
        method: &header.method,
        path: header.uri.path(),
        query: header.uri.query(),
        authority: header.uri.authority().map(Authority::as_str),
        headers: &header.headers,
        from: session.client_addr().and_then(|address| address.as_inet()).map(SocketAddr::ip),
        on,
        body,
    }
}

fn response_header(response: &Response) -> pingora::Result<ResponseHeader> {
    let mut header = ResponseHeader::build(response.status, Some(response.headers.len() + 2))?;
    header.insert_header(header::CONTENT_TYPE, HeaderValue::from_static(response.content_type))?;
    header.insert_header(header::CONTENT_LENGTH, HeaderValue::from(response.body.len()))?;
    for (name, value) in &response.headers {
        header.insert_header(name.clone(), value.clone())?;
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Metrics;
    use crate::operations::config::{self, Api};
    use crate::operations::{Health, ProviderView, View};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Idle;

    impl View for Idle {
        fn health(&self) -> Health {
            Health { draining: false, uptime: Duration::ZERO, providers_total: 1, providers_available: 1 }
        }

        fn providers(&self) -> Vec<ProviderView> {
            vec![]
        }
    }

    /// Sends each request on one connection as soon as the one before it is answered, and returns all
    /// that was answered and how many requests were.
    async fn exchange(requests: &[&str]) -> (String, usize) {
        let metrics = Arc::new(Metrics::new("test").unwrap());
        let operations =
            Operations::new(Arc::new(Idle), metrics, &Api::default(), &config::Metrics::default());
        let app = Arc::new(OperationsApp(Arc::new(operations)));
        let (_sender, shutdown) = tokio::sync::watch::channel(false);
        let (mut client, server) = tokio::io::duplex(4 << 20);
        let mut connection: Option<pingora::protocols::Stream> = Some(Box::new(server));
        let mut answered = 0;
        for request in requests {
            let Some(stream) = connection.take() else { break };
            client.write_all(request.as_bytes()).await.unwrap();
            let reused = app.process_new_http(ServerSession::new_http1(stream), &shutdown).await;
            connection = reused.map(|reused| reused.consume().0);
            answered += 1;
        }
        drop(connection);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        (text, answered)
    }

    fn head_and_body(answer: &str) -> (&str, &str) {
        answer.split_once("\r\n\r\n").unwrap()
    }

    const HEALTHY: &str = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";

    #[tokio::test]
    async fn an_answer_has_its_length_and_leaves_the_connection_open() {
        let (text, answered) = exchange(&[HEALTHY, HEALTHY]).await;
        assert_eq!(answered, 2, "{text}");
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
        let (head, rest) = head_and_body(&text);
        let length: usize = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .and_then(|length| length.parse().ok())
            .unwrap();
        assert!(rest[..length].starts_with('{') && rest[..length].ends_with("}}"), "{text}");
        assert!(rest[length..].starts_with("HTTP/1.1 200"), "{text}");
    }

    #[tokio::test]
    async fn head_has_the_head_only() {
        let (text, answered) = exchange(&["HEAD /health HTTP/1.1\r\nhost: localhost\r\n\r\n", HEALTHY]).await;
        assert_eq!(answered, 2);
        let (head, rest) = head_and_body(&text);
        assert!(
            head.to_ascii_lowercase().contains("content-length: ") && !head.contains("content-length: 0")
        );
        assert!(rest.starts_with("HTTP/1.1 200"), "{text}");
    }

    #[tokio::test]
    async fn a_client_that_asks_to_close_is_closed() {
        let close = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let (text, answered) = exchange(&[close, HEALTHY]).await;
        assert_eq!(answered, 1, "{text}");
    }

    #[tokio::test]
    async fn a_body_is_read_so_that_the_next_request_is_found() {
        let with_length = "POST /health HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\nabcd";
        let chunked = concat!(
            "POST /health HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n",
            "4\r\nabcd\r\n0\r\n\r\n"
        );
        let (text, answered) = exchange(&[with_length, chunked, HEALTHY]).await;
        assert_eq!(answered, 3);
        assert_eq!(text.matches("HTTP/1.1 405").count(), 2, "{text}");
        assert_eq!(text.matches("HTTP/1.1 200").count(), 1, "{text}");
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_read_and_one_byte_more_is_refused() {
        for (length, status) in [(MAX_BODY_BYTES, "HTTP/1.1 405"), (MAX_BODY_BYTES + 1, "HTTP/1.1 413")] {
            let request = format!(
                "POST /health HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{}",
                "x".repeat(length)
            );
            let (text, _) = exchange(&[&request, HEALTHY]).await;
            assert!(text.starts_with(status), "{text}");
        }
    }

    #[tokio::test]
    async fn a_client_that_waits_for_leave_to_send_gets_it() {
        let request = concat!(
            "POST /health HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n",
            "content-length: 2\r\n\r\nok"
        );
        let (text, _) = exchange(&[request]).await;
        assert!(text.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 405"), "{text}");
    }

    #[tokio::test]
    async fn what_is_not_http_is_told_so() {
        let (text, answered) = exchange(&["GET /health\u{1} nonsense\r\n\r\n", HEALTHY]).await;
        assert!(text.starts_with("HTTP/1.1 400"), "{text}");
        assert_eq!(answered, 1);
    }

    #[tokio::test]
    async fn a_caller_without_an_address_is_not_trusted() {
        let status = "GET /v0/operations/providers/status HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let (text, _) = exchange(&[status]).await;
        assert!(text.starts_with("HTTP/1.1 403"), "{text}");
        assert!(text.contains("x-cliproxy-error: forbidden") || text.contains("X-Cliproxy-Error: forbidden"));
    }
}
