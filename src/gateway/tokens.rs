//! Tokens of credentials that have to ask for theirs: where there is none when a request wants it, and how the asking
//! goes over the wire.
//!
//! The background renews tokens ahead of their end, so that requests seldom come here; one that does waits together
//! with all others for the one asking that is under way. Knows nothing of what a token is asked with.

use super::attempt::Attempt;
use super::upstream::Upstream;
use super::wire::Broken;
use crate::domain::{ErrorClass, wall_clock};
use crate::providers::grant::AskForToken;
use crate::providers::resolve::{Lookup, System};
use crate::settings::Url;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use pingora::http::RequestHeader;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long asking for a token may take, name and connection included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Addresses of an endpoint that are tried.
const MAX_ADDRESSES: usize = 3;
/// The longest answer that is read.
const MAX_ANSWER: usize = 64 << 10;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Sees to it that the attempt's credential has its token.
///
/// # Errors
/// When it can't be had: as good as a key that is refused, so that the next credential is asked, or the next candidate.
pub async fn fetch(attempt: &Attempt) -> Result<(), Broken> {
    let ask = Wire { upstream: &attempt.upstream };
    let fetched = attempt.credential.renew(wall_clock::now(), &ask).await;
    fetched.map_err(|error| Broken { class: ErrorClass::Auth, reason: error.to_string() })
}

/// Renews the tokens of a provider that want it; one after the other, since there are few.
pub async fn renew(upstream: &Upstream) {
    for entry in upstream.provider.credentials().wanting_renewal(wall_clock::now()) {
        if let Err(error) = entry.renew(wall_clock::now(), &Wire { upstream }).await {
            let name = upstream.provider.name();
            log::warn!("{name}: credential {}: {error}; it is asked again later", entry.label());
        }
    }
}

/// The way to token endpoints, with the certificates that their provider's connections trust.
struct Wire<'u> {
    upstream: &'u Upstream,
}

#[async_trait]
impl AskForToken for Wire<'_> {
    async fn post(&self, url: &Url, form: String) -> Result<(u16, Bytes), String> {
        let asked = timeout(PATIENCE, self.ask(url, form.into()));
        asked.await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    }
}

impl Wire<'_> {
    async fn ask(&self, url: &Url, form: Bytes) -> Result<(u16, Bytes), String> {
        let addresses = System.lookup(&url.host, url.port).await.map_err(in_words)?;
        let mut last = "its name has no addresses".to_owned();
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            match self.ask_at(address, url, form.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// On a connection of its own, which is closed behind it: there is one such request an hour.
    async fn ask_at(&self, address: SocketAddr, url: &Url, form: Bytes) -> Result<(u16, Bytes), String> {
        let mut peer = HttpPeer::new(address, url.is_tls(), url.host.clone());
        let connect = self.upstream.provider.definition.timeouts.connect.get();
        peer.options.total_connection_timeout = Some(connect);
        peer.options.connection_timeout = Some(connect);
        peer.options.alpn = ALPN::H1;
        peer.group_key = fastrand::u64(..);
        let opened = self.upstream.connector.get_http_session(&peer).await;
        let (mut session, _) = opened.map_err(in_words)?;
        session
            .write_request_header(Box::new(header(url, form.len()).map_err(in_words)?))
            .await
            .map_err(in_words)?;
        session.write_request_body(form, true).await.map_err(in_words)?;
        session.finish_request_body().await.map_err(in_words)?;
        session.read_response_header().await.map_err(in_words)?;
        let status = session.response_header().map_or(0, |header| header.status.as_u16());
        let mut body = BytesMut::new();
        while let Some(piece) = session.read_response_body().await.map_err(in_words)? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ANSWER {
                return Err("its answer is too long".to_owned());
            }
        }
        Ok((status, body.freeze()))
    }
}

fn header(url: &Url, length: usize) -> pingora::Result<RequestHeader> {
    let query = url.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let path = if url.path.is_empty() { "/" } else { &url.path };
    let mut header = RequestHeader::build(Method::POST, format!("{path}{query}").as_bytes(), None)?;
    header.insert_header(HOST, url.authority())?;
    header.insert_header(CONTENT_TYPE, FORM)?;
    header.insert_header(ACCEPT, JSON)?;
    header.insert_header(CONTENT_LENGTH, length)?;
    Ok(header)
}

fn in_words(error: impl Display) -> String {
    error.to_string()
}
