//! Pingora's stock loop and nothing else: what a gateway on Pingora can't be expected to undercut by much.
//!
//! `whole` starts it beside the gateway. It is fair only with the same profile and allocator: both are built by
//! one cargo, and both take the allocator from the `cliproxy` library.

// For its allocator alone.
use cliproxy as _;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use std::net::SocketAddr;

/// Carries everything to one address.
struct Bare {
    upstream: SocketAddr,
}

#[async_trait::async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

/// `bare LISTEN UPSTREAM`, both addresses; until SIGINT.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || -> Result<SocketAddr, Box<dyn std::error::Error>> {
        Ok(arguments.next().ok_or("bare LISTEN UPSTREAM: two addresses")?.parse()?)
    };
    let (listen, upstream) = (address()?, address()?);
    let mut server = Server::new_with_opt_and_conf(None, ServerConf { threads: 1, ..ServerConf::default() });
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { upstream });
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever()
}
