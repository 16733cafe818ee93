//! A provider over TLS that speaks HTTP/2, or HTTP/1.1 where its certificate's owner says so: what it does with
//! each request is a test's to say.

use super::certificates::Authority;
use super::gateway::Gateway;
use bytes::Bytes;
use cliproxy::simulator::ANSWER;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use rustls::ServerConfig;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

type Serve = Arc<dyn Fn(Asked) -> BoxFuture<'static, ()> + Send + Sync>;

/// What all its connections have in common.
#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    closed: AtomicUsize,
    requests: AtomicUsize,
    /// The server names that clients asked for; none for an address.
    names: Mutex<Vec<Option<String>>>,
    /// The heads of requests in HTTP/1.1.
    heads: Mutex<Vec<String>>,
}

/// A provider on a thread of its own, until it is dropped.
pub struct H2Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
}

/// How its end of a connection is set up.
#[derive(Clone, Default)]
pub struct H2Settings {
    /// What it takes of a request's body before it says more; none for the protocol's 64K.
    pub window: Option<u32>,
    /// Requests at one time on a connection.
    pub max_streams: Option<u32>,
}

impl H2Provider {
    /// For `127.0.0.1` and `localhost`, by this authority.
    pub fn start<F>(authority: &Authority, serve: F) -> H2Provider
    where
        F: Fn(Asked) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    {
        H2Provider::start_with(authority, H2Settings::default(), serve)
    }

    pub fn start_with<F>(authority: &Authority, settings: H2Settings, serve: F) -> H2Provider
    where
        F: Fn(Asked) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    {
        let tls = authority.server(&authority.issue(&["127.0.0.1", "localhost"]), &["h2", "http/1.1"]);
        H2Provider::over(tls, settings, serve)
    }

    /// Over TLS of the test's own making.
    pub fn over<F>(tls: ServerConfig, settings: H2Settings, serve: F) -> H2Provider
    where
        F: Fn(Asked) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let (serve, kept): (Serve, _) = (Arc::new(serve), Arc::clone(&shared));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    () = accept(listener, TlsAcceptor::from(Arc::new(tls)), settings, serve, kept) => {}
                    _ = stopped => {}
                }
            });
        });
        H2Provider { address, shared, stop: Some(stop) }
    }

    /// Connections so far that have agreed on a protocol.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub fn open_connections(&self) -> usize {
        self.connections() - self.shared.closed.load(Ordering::SeqCst)
    }

    /// Requests so far, in HTTP/2.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// The server names that its clients asked for.
    pub fn names(&self) -> Vec<Option<String>> {
        self.shared.names.lock().unwrap().clone()
    }

    /// The heads of its requests in HTTP/1.1, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A gateway before it alone, under the name `only`, for the model `m`.
    #[track_caller]
    pub fn gateway(&self, authority: &Authority) -> Gateway {
        Gateway::start(&format!("providers:\n{}", self.yaml("only", authority, &["models: [m]"])))
    }

    /// Its entry under `providers:`, with further lines.
    pub fn yaml(&self, name: &str, authority: &Authority, lines: &[&str]) -> String {
        self.yaml_at(&format!("https://{}", self.address), name, authority, lines)
    }

    /// The same, called by another URL.
    pub fn yaml_at(&self, url: &str, name: &str, authority: &Authority, lines: &[&str]) -> String {
        let ca = authority.ca_file();
        let mut entry = format!(
            "  {name}:\n    format: openai\n    base_url: \"{url}\"\n    api_key: the-key\n    ca_file: {}\n",
            ca.display()
        );
        for line in lines {
            entry += &format!("    {line}\n");
        }
        entry
    }
}

impl Drop for H2Provider {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    settings: H2Settings,
    serve: Serve,
    shared: Arc<Shared>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, settings) = (acceptor.clone(), settings.clone());
        let (serve, shared) = (Arc::clone(&serve), Arc::clone(&shared));
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            // A client that doesn't trust us goes away here.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let connection = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
            let (_, tls) = stream.get_ref();
            shared.names.lock().unwrap().push(tls.server_name().map(str::to_owned));
            if tls.alpn_protocol() == Some(b"h2") {
                speak_h2(stream, connection, &settings, serve, Arc::clone(&shared)).await;
            } else {
                speak_h1(stream, &shared).await;
            }
            shared.closed.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn speak_h2(
    stream: TlsStream<TcpStream>,
    connection: usize,
    settings: &H2Settings,
    serve: Serve,
    shared: Arc<Shared>,
) {
    let mut builder = h2::server::Builder::new();
    builder.initial_connection_window_size(8 << 20);
    if let Some(window) = settings.window {
        builder.initial_window_size(window);
    }
    if let Some(streams) = settings.max_streams {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut wire) = builder.handshake(stream).await else { return };
    let (control, mut orders) = unbounded_channel();
    while let Some((request, respond)) = next(&mut wire, &mut orders).await {
        let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, ());
        tokio::spawn(serve(Asked { connection, number, request, body, respond, control: control.clone() }));
    }
}

type Wire = Connection<TlsStream<TcpStream>, Bytes>;

/// The next request; orders are carried out meanwhile.
async fn next(
    wire: &mut Wire,
    orders: &mut UnboundedReceiver<Order>,
) -> Option<(Request<RecvStream>, SendResponse<Bytes>)> {
    loop {
        tokio::select! {
            asked = wire.accept() => return asked?.ok(),
            Some(order) = orders.recv() => match order {
                Order::GoAway => wire.graceful_shutdown(),
                Order::Abort(reason) => wire.abrupt_shutdown(reason),
                Order::Drop => return None,
            },
        }
    }
}

/// Answers the sixty words to each request.
async fn speak_h1(mut stream: TlsStream<TcpStream>, shared: &Shared) {
    let mut unread = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = memchr::memmem::find(&unread, b"\r\n\r\n") {
                break end + 4;
            }
            if !stream.read_buf(&mut unread).await.is_ok_and(|read| read > 0) {
                return;
            }
        };
        let head = String::from_utf8_lossy(&unread[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        while unread.len() < end + length.unwrap_or(0) {
            if !stream.read_buf(&mut unread).await.is_ok_and(|read| read > 0) {
                return;
            }
        }
        unread.drain(..end + length.unwrap_or(0));
        let switches = head.contains("upgrade: websocket");
        shared.heads.lock().unwrap().push(head);
        let body = whole_answer();
        let answer = if switches {
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello"
                .to_owned()
        } else {
            let kind = "content-type: application/json";
            format!("HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// What is done to a whole connection.
enum Order {
    GoAway,
    Abort(Reason),
    Drop,
}

/// A request that was received.
pub struct Asked {
    /// On the how manieth connection.
    pub connection: usize,
    /// The how manieth of all.
    pub number: usize,
    pub request: Request<()>,
    pub body: RecvStream,
    pub respond: SendResponse<Bytes>,
    control: UnboundedSender<Order>,
}

impl Asked {
    /// Says that no further requests are wanted on this connection; those under way may end.
    pub fn go_away(&self) {
        let _ = self.control.send(Order::GoAway);
    }

    /// Ends the connection at once, with a reason.
    pub fn abort(&self, reason: Reason) {
        let _ = self.control.send(Order::Abort(reason));
    }

    /// Closes the connection without a word.
    pub fn hang_up(&self) {
        let _ = self.control.send(Order::Drop);
    }

    /// Refuses the request, as a server does that has not looked at it.
    pub fn reset(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// The whole body of the request.
    pub async fn read(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(Ok(piece)) = self.body.data().await {
            let _ = self.body.flow_control().release_capacity(piece.len());
            body.extend_from_slice(&piece);
        }
        body
    }

    /// Whether a stream is asked for. Reads the body.
    pub async fn wants_stream(&mut self) -> bool {
        let body = self.read().await;
        serde_json::from_slice::<serde_json::Value>(&body).is_ok_and(|body| body["stream"] == true)
    }

    /// The whole answer, as it was asked for.
    pub async fn answer(mut self) {
        if self.wants_stream().await {
            let mut stream = self.stream();
            stream.words(0..60).await;
            stream.end();
        } else {
            self.plain(200, &whole_answer());
        }
    }

    /// A plain answer.
    pub fn plain(&mut self, status: u16, body: &str) {
        let header = Response::builder().status(status).header("content-type", "application/json");
        let mut stream = self.respond.send_response(header.body(()).expect("a header"), false).expect("sent");
        stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true).expect("sent");
    }

    /// Begins a stream of events.
    pub fn stream(&mut self) -> Events {
        let header = Response::builder().status(StatusCode::OK).header("content-type", "text/event-stream");
        let body = self.respond.send_response(header.body(()).expect("a header"), false).expect("sent");
        Events { body }
    }

    /// Returns when the client has taken the request back.
    pub async fn taken_back(&mut self) -> Reason {
        let reset = std::future::poll_fn(|context| self.respond.poll_reset(context));
        tokio::time::timeout(PATIENCE, reset).await.expect("a reset in time").expect("a reset")
    }
}

/// A stream of events that is under way.
pub struct Events {
    pub body: SendStream<Bytes>,
}

impl Events {
    /// These of the sixty words.
    pub async fn words(&mut self, range: std::ops::Range<usize>) {
        for (index, word) in ANSWER.split(' ').enumerate().skip(range.start).take(range.len()) {
            let word = if index == 0 { word.to_owned() } else { format!(" {word}") };
            let chunk = json!({"id": "x", "object": "chat.completion.chunk", "choices": [
                {"index": 0, "delta": {"content": word}, "finish_reason": null}]});
            self.event(&chunk.to_string());
        }
        tokio::task::yield_now().await;
    }

    fn event(&mut self, data: &str) {
        // A client that is gone needs no more.
        let _ = self.body.send_data(Bytes::from(format!("data: {data}\n\n")), false);
    }

    fn finish_reason(&mut self) {
        let last = json!({"id": "x", "object": "chat.completion.chunk", "choices": [
            {"index": 0, "delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 60, "total_tokens": 61}});
        self.event(&last.to_string());
        self.event("[DONE]");
    }

    /// Ends as a stream should.
    pub fn end(mut self) {
        self.finish_reason();
        let _ = self.body.send_data(Bytes::new(), true);
    }

    /// Ends with trailers.
    pub fn end_with_trailers(mut self) {
        self.finish_reason();
        let trailers = HeaderMap::from_iter([(http::header::ETAG, "late".parse().expect("a value"))]);
        let _ = self.body.send_trailers(trailers);
    }

    /// Breaks off.
    pub fn reset(mut self, reason: Reason) {
        self.body.send_reset(reason);
    }

    /// Returns when the client has taken the request back.
    pub async fn taken_back(&mut self) -> Reason {
        let reset = std::future::poll_fn(|context| self.body.poll_reset(context));
        tokio::time::timeout(PATIENCE, reset).await.expect("a reset in time").expect("a reset")
    }
}

/// A chat completion that says the sixty words.
fn whole_answer() -> String {
    json!({"id": "x", "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 60, "total_tokens": 61}})
    .to_string()
}

/// Serves whatever comes.
pub fn serve(asked: Asked) -> BoxFuture<'static, ()> {
    asked.answer().boxed()
}
