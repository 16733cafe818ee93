//! A client that speaks HTTP/2, frame by frame where a test wants it so.

use super::certificates::Authority;
use super::incoming::BodyEnd;
use super::questions::Question;
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Request, StatusCode};
use rustls::pki_types::ServerName;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a gateway on this machine.
#[derive(Clone)]
pub struct H2Client {
    send: SendRequest<Bytes>,
    authority: String,
}

impl H2Client {
    /// In the clear, with prior knowledge.
    pub async fn connect(port: u16) -> H2Client {
        H2Client::on(H2Client::tcp(port).await, port, &mut usual()).await
    }

    /// The same with settings of its own, such as the window of a stream.
    pub async fn connect_with(port: u16, settings: &mut Builder) -> H2Client {
        H2Client::on(H2Client::tcp(port).await, port, settings).await
    }

    /// Over TLS, if the gateway agrees on HTTP/2.
    pub async fn connect_tls(port: u16, authority: &Authority) -> H2Client {
        let connector = TlsConnector::from(Arc::new(authority.client(&["h2", "http/1.1"])));
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let stream = connector.connect(name, H2Client::tcp(port).await).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        H2Client::on(stream, port, &mut usual()).await
    }

    async fn tcp(port: u16) -> TcpStream {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpStream::connect(address).await.expect("the gateway listens")
    }

    async fn on<S>(stream: S, port: u16, settings: &mut Builder) -> H2Client
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (send, connection) = settings.handshake(stream).await.expect("a handshake");
        tokio::spawn(async move {
            // A connection that breaks shows in its streams.
            let _ = connection.await;
        });
        H2Client { send, authority: format!("127.0.0.1:{port}") }
    }

    /// A request without a body yet; headers are `(name, value)`.
    pub async fn begin(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Begun {
        let uri = format!("http://{}{path}", self.authority);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let ready = timeout(PATIENCE, self.send.clone().ready()).await;
        let mut send = ready.expect("room for a stream").expect("an open connection");
        let (response, body) = send.send_request(request.body(()).expect("a request"), false).expect("sent");
        Begun { response, body }
    }

    /// Sends a whole request, and reads the header of its answer.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> H2Answer {
        let mut begun = self.begin(method, path, headers).await;
        begun.write(body, true).await;
        begun.answer().await.expect("an answer")
    }

    /// Asks, and reads the header of the answer.
    pub async fn ask(&self, question: &Question) -> H2Answer {
        let body = question.body().to_string();
        let headers = [("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
        self.send(Method::POST, &question.path(), &headers, body.as_bytes()).await
    }
}

/// The windows of a usual client. Those of the protocol's beginnings allow so few small frames that have not
/// been read yet that the h2 crate gives up on a hundred busy streams.
fn usual() -> Builder {
    let mut builder = Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(8 << 20);
    builder
}

/// A request on its way.
pub struct Begun {
    response: ResponseFuture,
    pub body: SendStream<Bytes>,
}

impl Begun {
    /// Sends a piece of the body, as its window opens.
    pub async fn write(&mut self, bytes: &[u8], is_last: bool) {
        let mut rest = Bytes::copy_from_slice(bytes);
        while !rest.is_empty() {
            self.body.reserve_capacity(rest.len());
            let capacity = std::future::poll_fn(|context| self.body.poll_capacity(context));
            match timeout(PATIENCE, capacity).await.expect("room for the body") {
                Some(Ok(room)) => {
                    let piece = rest.split_to(room.min(rest.len()));
                    let is_end = is_last && rest.is_empty();
                    // One that doesn't want the rest has answered.
                    let _ = self.body.send_data(piece, is_end);
                }
                Some(Err(_)) | None => return,
            }
        }
        if is_last && bytes.is_empty() {
            let _ = self.body.send_data(Bytes::new(), true);
        }
    }

    /// The header of the answer.
    pub async fn answer(self) -> Result<H2Answer, h2::Error> {
        let response = timeout(PATIENCE, self.response).await.expect("an answer in time")?;
        let (head, stream) = response.into_parts();
        Ok(H2Answer { status: head.status, headers: head.headers, stream, upload: self.body })
    }

    /// Takes the request back.
    pub fn cancel(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }
}

/// An answer whose header has come.
pub struct H2Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub stream: RecvStream,
    upload: SendStream<Bytes>,
}

impl H2Answer {
    /// The next piece of the body, its room in the window given back.
    pub async fn next(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let piece = timeout(PATIENCE, self.stream.data()).await.expect("more of the body in time")?;
        if let Ok(piece) = &piece {
            let _ = self.stream.flow_control().release_capacity(piece.len());
        }
        Some(piece)
    }

    /// All of the body, and how it ended.
    pub async fn rest(mut self) -> H2Whole {
        let mut body = Vec::new();
        let error = loop {
            match self.next().await {
                Some(Ok(piece)) => body.extend_from_slice(&piece),
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        H2Whole { status: self.status, headers: self.headers, body, error }
    }

    /// Resets the stream, as a client does that loses interest.
    pub fn cancel(mut self) {
        self.upload.send_reset(Reason::CANCEL);
    }
}

/// An answer that is over.
#[derive(Debug)]
pub struct H2Whole {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// What broke it off.
    pub error: Option<h2::Error>,
}

impl H2Whole {
    /// As HTTP/1.1 would have it.
    pub fn end(&self) -> BodyEnd {
        if self.error.is_none() { BodyEnd::Clean } else { BodyEnd::Aborted }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
