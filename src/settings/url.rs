//! Addresses of HTTP services.

use super::Scalar;
use std::fmt;

/// The two schemes that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

/// An `http` or `https` address without user, password or fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    /// In clear or over TLS.
    pub scheme: Scheme,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, the scheme's own where none was given.
    pub port: u16,
    /// The path, without a slash at its end; empty for none.
    pub path: String,
    /// What follows `?`, if anything.
    pub query: Option<String>,
}

impl Url {
    /// Whether the connection is over TLS.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// `host:port`, an IPv6 address in brackets; the port is left out where it is the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl Scheme {
    /// The port that goes without saying.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

impl Scalar for Url {
    const FORM: &'static str = "an http:// or https:// address without user, password or fragment";
    const REPEATED: bool = false;

    fn parse(text: &str) -> Option<Url> {
        if text.contains('#') {
            return None;
        }
        let uri: http::Uri = text.parse().ok()?;
        let scheme =
            [Scheme::Http, Scheme::Https].into_iter().find(|s| Some(s.name()) == uri.scheme_str())?;
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let port = authority.as_str().rsplit_once(':').filter(|(_, port)| !port.contains(']'));
        let port = match port {
            Some((_, port)) => port.parse().ok().filter(|port| *port > 0)?,
            None => scheme.default_port(),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return None;
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Some(Url { scheme, host, port, path, query: uri.query().map(str::to_owned) })
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority(), self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}
