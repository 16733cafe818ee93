//! One provider of a registry: its definition, and the live state that survives a reload.
//!
//! Budget: a permit is one compare-and-swap. This module must not know why a provider was chosen.

use super::credential::Entry;
use super::credentials::Credentials;
use super::definition::Definition;
use super::resolve::{Addresses, Resolver};
use super::skips::Skips;
use crate::balance::Candidate;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// A provider.
pub struct Provider {
    /// Its position in the registry, which is its identity for the load balancer.
    pub index: usize,
    /// What is fixed about it.
    pub definition: Arc<Definition>,
    credentials: Arc<Credentials>,
    resolver: Arc<Resolver>,
    in_flight: Arc<AtomicU32>,
    skips: Arc<Skips>,
}

/// Why a provider can't take a request now; the `reason` in status and error bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// `enabled: false`.
    Disabled,
    /// It needs a key, and no usable one is there.
    NoCredential,
    /// `max_concurrency` requests are in flight.
    Busy,
}

impl Unavailable {
    /// The word in status and error bodies.
    pub const fn name(self) -> &'static str {
        match self {
            Unavailable::Disabled => "disabled",
            Unavailable::NoCredential => "no_credential",
            Unavailable::Busy => "max_concurrency",
        }
    }
}

impl Provider {
    /// The provider of this definition. It takes over from `previous`, the provider of its name before a
    /// reload, what is still true: requests in flight always, addresses of the same host, credentials and
    /// missing models of the same place and keys.
    pub(super) fn new(index: usize, definition: Definition, previous: Option<&Provider>) -> Provider {
        let base = &definition.base;
        let same_host = |old: &&Provider| {
            (&old.definition.base.host, old.definition.base.port) == (&base.host, base.port)
        };
        let resolver = previous
            .filter(same_host)
            .map_or_else(|| Arc::new(Resolver::new(&base.host, base.port)), |old| Arc::clone(&old.resolver));
        let same = previous.filter(|old| old.definition.shares_credentials_with(&definition));
        let credentials = same.map_or_else(
            || Arc::new(Credentials::new(entries(&definition, Vec::new()))),
            |old| Arc::clone(&old.credentials),
        );
        let skips = same.map(|old| Arc::clone(&old.skips)).unwrap_or_default();
        let in_flight = previous.map(|old| Arc::clone(&old.in_flight)).unwrap_or_default();
        Provider { index, definition: Arc::new(definition), credentials, resolver, in_flight, skips }
    }

    /// The name under `providers:`.
    pub fn name(&self) -> &Arc<str> {
        &self.definition.name
    }

    /// Its credentials. A provider that needs none has one that adds nothing.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The models that it said it doesn't have.
    pub fn skips(&self) -> &Skips {
        &self.skips
    }

    /// Where its addresses come from.
    pub fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    /// The addresses to try, in order.
    pub fn addresses(&self) -> Addresses {
        self.resolver.addresses()
    }

    /// Puts these entries beside the configuration's own keys.
    pub(super) fn take_auths(&self, files: Vec<Entry>) {
        self.credentials.replace(entries(&self.definition, files));
    }

    /// Whether it can take a request at this time, as far as this module knows.
    pub fn available(&self, now: SystemTime) -> Result<(), Unavailable> {
        let has_room = |limit| self.in_flight() < limit;
        if !self.definition.enabled {
            Err(Unavailable::Disabled)
        } else if !self.credentials.any_active(now) {
            Err(Unavailable::NoCredential)
        } else if !self.definition.max_concurrency.is_none_or(has_room) {
            Err(Unavailable::Busy)
        } else {
            Ok(())
        }
    }

    /// What a strategy may know of it.
    pub fn candidate(&self) -> Candidate {
        let provider = u32::try_from(self.index).unwrap_or(u32::MAX);
        Candidate { provider, weight: self.definition.weight }
    }

    /// Requests that it is answering.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Room for one request, given back when the permit is dropped; `None` if there is none.
    pub fn admit(&self) -> Option<Permit> {
        let limit = self.definition.max_concurrency.unwrap_or(u32::MAX);
        let one_more = |count: u32| count.checked_add(1).filter(|count| *count <= limit);
        self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more).ok()?;
        Some(Permit(Arc::clone(&self.in_flight)))
    }
}

/// The configuration's own keys, then the files'; nothing at all is one entry that adds nothing, where no
/// key is needed.
fn entries(definition: &Definition, files: Vec<Entry>) -> Vec<Entry> {
    let mut entries = definition.key_entries().unwrap_or_default();
    entries.extend(files);
    if entries.is_empty() && !definition.needs_key {
        entries.push(Entry::anonymous());
    }
    entries
}

/// One request's place at a provider.
#[derive(Debug)]
pub struct Permit(Arc<AtomicU32>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Secret;
    use crate::providers::config::Provider as Settings;
    use std::time::UNIX_EPOCH;

    const NOW: SystemTime = UNIX_EPOCH;

    fn definition(change: impl FnOnce(&mut Settings)) -> Definition {
        let mut settings = Settings { api_key: Some(Secret::new("sk-1")), ..Settings::default() };
        change(&mut settings);
        Definition::new("openai", &settings).unwrap()
    }

    #[test]
    fn permits_are_bounded_and_given_back() {
        let provider = Provider::new(0, definition(|s| s.max_concurrency = Some(2)), None);
        let (first, second) = (provider.admit(), provider.admit());
        assert!(first.is_some() && second.is_some() && provider.admit().is_none());
        assert_eq!(provider.available(NOW), Err(Unavailable::Busy));
        drop(first);
        assert_eq!(provider.in_flight(), 1);
        assert!(provider.admit().is_some() && provider.available(NOW).is_ok());
    }

    #[test]
    fn many_threads_never_exceed_the_bound() {
        let provider = Provider::new(0, definition(|s| s.max_concurrency = Some(3)), None);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let permit = provider.admit();
                        assert!(provider.in_flight() <= 3);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(provider.in_flight(), 0);
    }

    #[test]
    fn a_provider_without_its_key_or_switched_off_is_not_available() {
        let keyless = Provider::new(0, definition(|s| s.api_key = None), None);
        assert_eq!(keyless.available(NOW), Err(Unavailable::NoCredential));
        let off = Provider::new(0, definition(|s| s.enabled = false), None);
        assert_eq!(off.available(NOW), Err(Unavailable::Disabled));
        let local = Definition::new("ollama", &Settings::default()).unwrap();
        let local = Provider::new(0, local, None);
        assert!(local.available(NOW).is_ok() && local.credentials().pick(NOW, |_| true).is_some());
    }

    #[test]
    fn a_reload_keeps_what_is_still_true() {
        let old = Provider::new(0, definition(|_| ()), None);
        let _permit = old.admit();

        let heavier = Provider::new(3, definition(|s| s.weight = 9), Some(&old));
        assert_eq!((heavier.in_flight(), heavier.index), (1, 3));
        assert!(Arc::ptr_eq(&heavier.credentials, &old.credentials));
        assert!(Arc::ptr_eq(&heavier.resolver, &old.resolver));
        assert!(Arc::ptr_eq(&heavier.skips, &old.skips));

        let new_key = Provider::new(0, definition(|s| s.api_key = Some(Secret::new("sk-2"))), Some(&old));
        assert_eq!(new_key.in_flight(), 1);
        assert!(!Arc::ptr_eq(&new_key.credentials, &old.credentials));
        assert!(!Arc::ptr_eq(&new_key.skips, &old.skips), "another key may have other models");
        assert!(Arc::ptr_eq(&new_key.resolver, &old.resolver));
    }
}
