//! Makes any [`Strategy`] a `BackendSelection` of Pingora's `LoadBalancer`, once for all strategies.
//!
//! The `LoadBalancer` knows one `Backend` per provider, whose identity is the provider's index and no
//! address: two providers on one host and port stay two, and a change in DNS changes nothing here. The
//! request's eligible candidates come with the key (`key.rs`), so the strategy's answer is the
//! first item of the iterator and no candidate is rejected afterwards. The address that is connected to
//! is chosen later, from the provider's resolver.
//!
//! This module must not know what makes a provider eligible.
//!
//! Budget: Pingora's own share (a hash set of one, two hashes, one clone of a Backend without
//! extensions), plus encoding and decoding of the key on the stack.

use super::key;
use crate::balance::{Candidate, Facts, Strategy};
use pingora_load_balancing::selection::{BackendIter, BackendSelection};
use pingora_load_balancing::{Backend, Backends, Extensions, LoadBalancer, discovery};
use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The generic selector: backends by provider index, and the strategy that picks among them.
pub struct Selector {
    backends: Box<[Backend]>,
    strategy: Option<Arc<dyn Strategy>>,
}

impl Selector {
    fn choose(&self, key: &[u8]) -> Option<usize> {
        let (candidates, facts) = key::decode(key)?;
        self.position(self.strategy.as_ref()?.pick(&candidates, &facts)?)
    }

    /// Where that provider's backend is. They are sorted by weight, which is the index plus one.
    fn position(&self, provider: u32) -> Option<usize> {
        let position = usize::try_from(provider).ok()?;
        (position < self.backends.len()).then_some(position)
    }
}

impl BackendSelection for Selector {
    type Iter = Choice;
    type Config = Arc<dyn Strategy>;

    fn build_with_config(backends: &BTreeSet<Backend>, strategy: &Self::Config) -> Self {
        Selector { strategy: Some(Arc::clone(strategy)), ..Selector::build(backends) }
    }

    /// Without a strategy nothing is ever selected.
    fn build(backends: &BTreeSet<Backend>) -> Self {
        Selector { backends: backends.iter().cloned().collect(), strategy: None }
    }

    fn iter(self: &Arc<Self>, key: &[u8]) -> Choice {
        Choice { choice: self.choose(key), selector: Arc::clone(self) }
    }
}

/// The strategy's one answer, as an iterator.
pub struct Choice {
    selector: Arc<Selector>,
    choice: Option<usize>,
}

impl BackendIter for Choice {
    fn next(&mut self) -> Option<&Backend> {
        self.selector.backends.get(self.choice.take()?)
    }
}

/// The providers of one registry snapshot, as Pingora's load balancer sees them.
pub struct Pool {
    balancer: LoadBalancer<Selector>,
}

impl Pool {
    /// A pool of `providers` providers, indexed from 0, chosen from by `strategy`.
    pub fn new(providers: usize, strategy: Arc<dyn Strategy>) -> Pool {
        let backends = (0..providers).map(backend).collect();
        let view = Backends::new(discovery::Static::new(backends));
        let balancer = LoadBalancer::from_backends_with_config(view, Some(strategy));
        // A static set is there at the first poll; a pool that is not filled here would serve nobody.
        let filled = pin!(balancer.update()).poll(&mut Context::from_waker(Waker::noop()));
        if !matches!(filled, Poll::Ready(Ok(()))) {
            log::error!("the load balancer did not take its static set of providers");
        }
        Pool { balancer }
    }

    /// The provider to use, by its index; `None` only if there is no candidate. What the strategy says
    /// is done: it is the one place that decides, and the tests replace it to see that.
    pub fn pick(&self, candidates: &[Candidate], facts: &Facts) -> Option<usize> {
        let key = key::encode(candidates, facts);
        // Health and eligibility were decided before: whatever the strategy says is accepted.
        let backend = self.balancer.select_with(&key, 1, |_, _| true)?;
        backend.weight.checked_sub(1)
    }
}

/// The backend that stands for a provider: an address that is nobody's, and the index in the weight.
fn backend(index: usize) -> Backend {
    let nobody = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    Backend {
        addr: pingora::protocols::l4::socket::SocketAddr::Inet(nobody),
        weight: index + 1,
        ext: Extensions::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{RoundRobin, Tickets};

    struct Always(u32);

    impl Strategy for Always {
        fn name(&self) -> &'static str {
            "always"
        }

        fn pick(&self, _: &[Candidate], _: &Facts) -> Option<u32> {
            Some(self.0)
        }
    }

    fn candidates(providers: impl IntoIterator<Item = u32>) -> Vec<Candidate> {
        providers.into_iter().map(|provider| Candidate { provider, weight: 100 }).collect()
    }

    #[test]
    fn another_strategy_takes_all_traffic_to_b() {
        let pool = Pool::new(3, Arc::new(Always(1)));
        for ticket in 0..100 {
            let facts = Facts { ticket, session: None };
            assert_eq!(pool.pick(&candidates([0, 1, 2]), &facts), Some(1));
        }
        assert_eq!(pool.pick(&candidates([0, 2]), &Facts::default()), Some(1), "candidate or not");
    }

    #[test]
    fn every_provider_is_a_backend_of_its_own_whatever_its_address() {
        let pool = Pool::new(40, Arc::new(RoundRobin));
        let tickets = Tickets::new(Tickets::PROVIDER_SETS);
        let all = candidates(0..40);
        let mut served = [0; 40];
        for _ in 0..400 {
            let facts = Facts { ticket: tickets.next(&all), session: None };
            served[pool.pick(&all, &facts).unwrap()] += 1;
        }
        assert_eq!(served, [10; 40]);
    }

    #[test]
    fn only_candidates_are_picked() {
        let pool = Pool::new(5, Arc::new(RoundRobin));
        for ticket in 0..100 {
            let picked = pool.pick(&candidates([1, 4]), &Facts { ticket, session: None });
            assert!(matches!(picked, Some(1 | 4)), "{picked:?}");
        }
    }

    #[test]
    fn no_candidates_and_unknown_ones_pick_nothing() {
        let pool = Pool::new(2, Arc::new(RoundRobin));
        assert_eq!(pool.pick(&[], &Facts::default()), None);
        assert_eq!(pool.pick(&candidates([2]), &Facts::default()), None, "one past the last");
        assert_eq!(Pool::new(0, Arc::new(RoundRobin)).pick(&candidates([0]), &Facts::default()), None);
    }
}
