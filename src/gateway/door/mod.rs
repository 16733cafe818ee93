//! The way in: what becomes of a client's connection before there is a request.
//!
//! HTTP/1.1 and HTTP/2 on one port, told apart by ALPN over TLS and by the first bytes without it. A client has
//! `limits.header_timeout` for each header; Pingora alone would give it a minute per read. What a request
//! means is not known here.

mod watched;

use super::Gateway;
use super::config::Limits;
use super::life::Life;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ServerApp};
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;
use pingora::services::listening::Service;
use pingora_proxy::{HttpProxy, http_proxy};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use watched::Watched;

/// How long a client's connection may be idle between requests.
pub const KEEPALIVE: Duration = Duration::from_secs(60);
/// HTTP/2 streams that one client connection may have open: more than the 100 that clients are promised at
/// least (RFC 9113, section 6.5.2), far fewer than would let one connection fill the house.
const MAX_STREAMS: u32 = 256;
/// What a client may send of one request's body, and of all on a connection, before we have read it. The
/// rest of a large body waits at the client, not in our memory.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What is held of an answer for a client that is slow to read it, per stream.
const SEND_BUFFER: usize = 128 << 10;

/// Serves connections, one after another header in bounded time.
pub struct Door {
    proxy: Arc<HttpProxy<Gateway>>,
    life: Arc<Life>,
    header_timeout: Duration,
}

impl Door {
    /// The service of the gateway's port, which is still to be told where to listen.
    pub fn service(conf: &Arc<ServerConf>, gateway: Gateway, limits: &Limits) -> Service<Door> {
        let life = Arc::clone(&gateway.life);
        let mut proxy = http_proxy(conf, gateway);
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(KEEPALIVE);
        proxy.server_options = Some(options);
        proxy.h2_options = Some(h2_options(limits));
        let door = Door { proxy: Arc::new(proxy), life, header_timeout: limits.header_timeout.get() };
        Service::new("gateway".to_owned(), door)
    }
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _open = self.life.connect();
        let watched = Watched::new(stream, self.header_timeout, KEEPALIVE);
        ServerApp::process_new(&self.proxy, Box::new(watched), shutdown).await
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

fn h2_options(limits: &Limits) -> H2Options {
    let mut options = default_h2_options();
    options
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(limits.max_header_size.as_usize()).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER);
    options
}

/// TLS with these files, which were found good before: Pingora panics on bad ones.
///
/// # Errors
/// None in practice.
pub fn tls(certificate: &Path, key: &Path) -> pingora::Result<TlsSettings> {
    let text = |path: &Path| path.display().to_string();
    let mut settings = TlsSettings::intermediate(&text(certificate), &text(key))?;
    settings.enable_h2();
    Ok(settings)
}

/// The request's header is there: what follows on the connection has its own time.
pub fn header_came(session: &ServerSession) {
    if let Some(watched) = watched(session) {
        watched.header_came();
    }
}

/// The request is over: the next bytes on the connection begin another.
pub fn request_over(session: &ServerSession) {
    if let Some(watched) = watched(session) {
        watched.request_over();
    }
}

/// The connection of an HTTP/1 session; those of HTTP/2 read their headers elsewhere.
fn watched(session: &ServerSession) -> Option<&Watched> {
    (**session.stream()?).as_any().downcast_ref()
}
