//! A provider's addresses: resolved in the background, the last good answer kept.
//!
//! No request ever waits for a name. A name that stops resolving keeps its old addresses; one that never
//! did has none, and the provider fails as unreachable until it does. Telling apart addresses that work
//! from those that don't is the connector's business: every address is kept, and each request starts at
//! another one.

use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::timeout;

/// How often names are to be looked up again.
pub const REFRESH: Duration = Duration::from_secs(30);

/// How long one look-up may take.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Addresses kept of one name; what a name server sends beyond that is dropped.
pub const MAX_ADDRESSES: usize = 64;

/// Turns a name into addresses.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// All addresses of the name, best first, with this port.
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's own look-up.
pub struct System;

#[async_trait]
impl Lookup for System {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// What a look-up changed; for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The name resolves, for the first time or again.
    Resolved {
        /// How many addresses it has.
        addresses: usize,
    },
    /// The name does not resolve any more, or never did.
    Failed {
        /// Why, for the log.
        cause: String,
        /// How many addresses of the last good answer are still used.
        kept: usize,
    },
}

/// The addresses of one host.
pub struct Resolver {
    host: String,
    port: u16,
    state: ArcSwap<State>,
    start: AtomicUsize,
}

#[derive(Clone)]
struct State {
    addresses: Arc<[SocketAddr]>,
    /// Whether the last look-up failed; `None` before the first.
    failing: Option<bool>,
}

impl Resolver {
    /// A resolver for this host; an IP address is its own answer.
    pub fn new(host: &str, port: u16) -> Resolver {
        let literal = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
        let failing = literal.map(|_| false);
        let state = State { addresses: literal.into_iter().collect(), failing };
        Resolver {
            host: host.to_owned(),
            port,
            state: ArcSwap::from_pointee(state),
            start: AtomicUsize::new(0),
        }
    }

    /// The host that is resolved.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The addresses to try, in order. Each call starts at the next one, so that load spreads over them.
    /// The family that the system prefers stays in front.
    pub fn addresses(&self) -> Addresses {
        let addresses = Arc::clone(&self.state.load().addresses);
        Addresses::new(addresses, self.start.fetch_add(1, Relaxed))
    }

    /// Whether there is any address.
    pub fn is_resolved(&self) -> bool {
        !self.state.load().addresses.is_empty()
    }

    /// Looks the name up again. Says what changed, so that a name that stays broken is told of once.
    /// One caller at a time.
    pub async fn refresh(&self, lookup: &dyn Lookup) -> Option<Change> {
        if self.host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let answer = match timeout(LOOKUP_TIMEOUT, lookup.lookup(&self.host, self.port)).await {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("the name has no addresses".to_owned()),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", LOOKUP_TIMEOUT.as_secs())),
        };
        let state = self.state.load_full();
        match answer {
            Ok(addresses) => {
                let addresses = ordered(addresses);
                let change =
                    (state.failing != Some(false)).then_some(Change::Resolved { addresses: addresses.len() });
                self.state.store(Arc::new(State { addresses, failing: Some(false) }));
                change
            }
            Err(_) if state.failing == Some(true) => None,
            Err(cause) => {
                let kept = state.addresses.len();
                self.state.store(Arc::new(State { failing: Some(true), ..State::clone(&state) }));
                Some(Change::Failed { cause, kept })
            }
        }
    }
}

/// Without doubles, the family of the first answer in front, in an order that does not depend on the name
/// server's own shuffling, at most [`MAX_ADDRESSES`].
fn ordered(mut addresses: Vec<SocketAddr>) -> Arc<[SocketAddr]> {
    let ipv6_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    addresses.sort_by_key(|address| (address.is_ipv6() != ipv6_first, *address));
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    addresses.into()
}

/// Addresses in the order to try them.
#[derive(Clone, Debug)]
pub struct Addresses {
    all: Arc<[SocketAddr]>,
    /// How many at the front are of the preferred family.
    preferred: usize,
    start: usize,
    next: usize,
}

impl Addresses {
    fn new(all: Arc<[SocketAddr]>, start: usize) -> Addresses {
        let ipv6_first = all.first().is_some_and(SocketAddr::is_ipv6);
        let preferred = all.iter().take_while(|address| address.is_ipv6() == ipv6_first).count();
        Addresses { all, preferred, start, next: 0 }
    }
}

impl Iterator for Addresses {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        let (from, to) =
            if self.next < self.preferred { (0, self.preferred) } else { (self.preferred, self.all.len()) };
        let turned = self.start.wrapping_add(self.next - from).checked_rem(to - from)?;
        self.next += 1;
        if self.next > self.all.len() { None } else { self.all.get(from + turned).copied() }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.all.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Addresses {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// Gives the scripted answers, one per look-up.
    struct Script(Mutex<Vec<io::Result<Vec<SocketAddr>>>>);

    #[async_trait]
    impl Lookup for Script {
        async fn lookup(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            self.0.lock().unwrap().remove(0)
        }
    }

    struct Silent;

    #[async_trait]
    impl Lookup for Silent {
        async fn lookup(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            std::future::pending().await
        }
    }

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 443))
    }

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 1, last], 443))
    }

    fn broken() -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other("no such host"))
    }

    async fn resolved(addresses: Vec<SocketAddr>) -> Resolver {
        let resolver = Resolver::new("h.example", 443);
        resolver.refresh(&Script(Mutex::new(vec![Ok(addresses)]))).await;
        resolver
    }

    #[tokio::test]
    async fn an_ip_address_is_its_own_answer() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:443"), ("::1", "[::1]:443")] {
            let resolver = Resolver::new(host, 443);
            assert_eq!(resolver.addresses().collect::<Vec<_>>(), [address.parse().unwrap()]);
            assert_eq!(resolver.refresh(&Script(Mutex::new(vec![]))).await, None);
        }
    }

    #[tokio::test]
    async fn the_last_good_answer_is_kept_and_each_change_is_told_once() {
        let resolver = Resolver::new("h.example", 443);
        let answers = vec![broken(), broken(), Ok(vec![v4(1), v4(2)]), Ok(vec![v4(3)]), broken(), Ok(vec![])];
        let script = Script(Mutex::new(answers));
        let failed = |kept| Some(Change::Failed { cause: "no such host".to_owned(), kept });

        assert_eq!(resolver.refresh(&script).await, failed(0));
        assert!(!resolver.is_resolved() && resolver.addresses().next().is_none());
        assert_eq!(resolver.refresh(&script).await, None);
        assert_eq!(resolver.refresh(&script).await, Some(Change::Resolved { addresses: 2 }));
        assert_eq!(resolver.refresh(&script).await, None);
        assert_eq!(resolver.refresh(&script).await, failed(1));
        assert_eq!(resolver.refresh(&script).await, None, "an empty answer is a failure too");
        assert_eq!(resolver.addresses().collect::<Vec<_>>(), [v4(3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_name_server_is_a_failure_after_its_time() {
        let change = Resolver::new("h.example", 443).refresh(&Silent).await;
        assert!(matches!(change, Some(Change::Failed { kept: 0, .. })), "{change:?}");
    }

    #[tokio::test]
    async fn eight_addresses_are_each_first_equally_often_and_all_are_tried() {
        let all: Vec<_> = (1..=8).map(v4).collect();
        let resolver = resolved(all.clone()).await;
        let mut first: BTreeMap<SocketAddr, u32> = BTreeMap::new();
        for _ in 0..80 {
            let mut order: Vec<_> = resolver.addresses().collect();
            *first.entry(order[0]).or_default() += 1;
            order.sort();
            assert_eq!(order, all);
        }
        assert!(first.len() == 8 && first.values().all(|times| *times == 10), "{first:?}");
    }

    #[tokio::test]
    async fn the_preferred_family_stays_in_front() {
        let resolver = resolved(vec![v6(1), v4(1), v6(2), v4(2)]).await;
        for _ in 0..4 {
            let order: Vec<_> = resolver.addresses().collect();
            assert_eq!(order.len(), 4);
            assert!(order[..2].iter().all(SocketAddr::is_ipv6) && order[2..].iter().all(SocketAddr::is_ipv4));
        }
    }

    #[tokio::test]
    async fn addresses_are_bounded_and_distinct() {
        let many: Vec<_> = (0..=64).chain([1, 2]).map(v4).collect();
        assert_eq!(resolved(many).await.addresses().len(), MAX_ADDRESSES);
        assert_eq!(resolved(vec![v4(1), v4(1)]).await.addresses().len(), 1);
    }
}
