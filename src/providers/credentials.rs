//! The credentials of one provider, and whose turn it is.
//!
//! Rotation is by weight over the usable entries of the best priority. The set is swapped whole when
//! files in `auths/` change; a request that holds an entry keeps it. What makes an entry unusable for a
//! while (it was tried, it cools down) is the caller's to say.
//!
//! Budget per pick: one ArcSwap load, one atomic add, one reference count; no lock, and no allocation up
//! to `INLINE_ENTRIES` entries.

use super::credential::{Entry, EntryStatus};
use crate::balance::{Candidate, Tickets, best_tier, rotate};
use arc_swap::ArcSwap;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::SystemTime;

/// Entries that a pick looks at without the heap.
const INLINE_ENTRIES: usize = 16;

/// The entries of one provider.
pub struct Credentials {
    entries: ArcSwap<Box<[Arc<Entry>]>>,
    tickets: Tickets,
}

impl Credentials {
    /// These entries; the same secret twice counts once, and labels are made unique.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Credentials {
        Credentials {
            entries: ArcSwap::from_pointee(distinct(entries)),
            tickets: Tickets::new(Tickets::CREDENTIAL_SETS),
        }
    }

    /// Puts these in the place of the old ones; requests in flight keep what they have, and tokens stay.
    pub fn replace(&self, entries: impl IntoIterator<Item = Entry>) {
        let old = self.entries.load();
        let entries = entries.into_iter().map(|entry| entry.keeping_token_of(&old));
        self.entries.store(Arc::new(distinct(entries)));
    }

    /// The entry whose turn it is, among those that are active, of the best priority, and `usable`.
    pub fn pick(&self, now: SystemTime, usable: impl Fn(&Entry) -> bool) -> Option<Arc<Entry>> {
        let entries = self.entries.load();
        let eligible = entries
            .iter()
            .zip(0..)
            .filter(|(entry, _)| entry.status(now) == EntryStatus::Active && usable(entry))
            .map(|(entry, index)| {
                (entry.terms().priority, Candidate { provider: index, weight: entry.terms().weight })
            });
        let eligible: SmallVec<[(u32, Candidate); INLINE_ENTRIES]> = eligible.collect();
        let tier: SmallVec<[Candidate; INLINE_ENTRIES]> = best_tier(eligible.iter().copied()).collect();
        let at = rotate(self.tickets.next(&tier), tier.iter().map(|candidate| candidate.weight))?;
        entries.get(usize::try_from(tier.get(at)?.provider).ok()?).cloned()
    }

    /// The labels of those that may be used at this time, or could with a new token.
    pub fn labels_in_use(&self, now: SystemTime) -> Vec<Arc<str>> {
        let entries = self.entries.load();
        let in_use = entries.iter().filter(|entry| is_in_use(entry, now));
        in_use.map(|entry| Arc::clone(entry.label())).collect()
    }

    /// The entry of that label.
    pub fn named(&self, label: &str) -> Option<Arc<Entry>> {
        self.entries.load().iter().find(|entry| &**entry.label() == label).cloned()
    }

    /// Whether any may be used at this time.
    pub fn any_active(&self, now: SystemTime) -> bool {
        self.entries.load().iter().any(|entry| entry.status(now) == EntryStatus::Active)
    }

    /// How many may be used at this time, or could with a new token.
    pub fn in_use(&self, now: SystemTime) -> usize {
        self.entries.load().iter().filter(|entry| is_in_use(entry, now)).count()
    }

    /// Whether any may be used at this time that is `usable`, too.
    pub fn any(&self, now: SystemTime, usable: impl Fn(&Entry) -> bool) -> bool {
        let entries = self.entries.load();
        let mut active = entries.iter().filter(|entry| entry.status(now) == EntryStatus::Active);
        active.any(|entry| usable(entry))
    }

    /// Those whose tokens should be renewed at this time.
    pub fn wanting_renewal(&self, now: SystemTime) -> Vec<Arc<Entry>> {
        let entries = self.entries.load();
        let wanting = entries.iter().filter(|entry| entry.wants_renewal(now) && is_in_use(entry, now));
        wanting.cloned().collect()
    }

    /// All of them with their status, in order.
    pub fn status(&self, now: SystemTime) -> Vec<(Arc<str>, EntryStatus)> {
        self.entries.load().iter().map(|entry| (Arc::clone(entry.label()), entry.status(now))).collect()
    }
}

fn is_in_use(entry: &Entry, now: SystemTime) -> bool {
    matches!(entry.status(now), EntryStatus::Active | EntryStatus::NoToken)
}

fn distinct(entries: impl IntoIterator<Item = Entry>) -> Box<[Arc<Entry>]> {
    let mut kept: Vec<Arc<Entry>> = Vec::new();
    for entry in entries {
        if kept.iter().any(|other| other.is_same_secret(&entry)) {
            continue;
        }
        let is_taken = kept.iter().any(|other| other.label() == entry.label());
        kept.push(Arc::new(if is_taken { entry.renamed() } else { entry }));
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Secret;
    use crate::providers::credential::Terms;
    use crate::providers::presets::KeyHeader;
    use std::time::{Duration, UNIX_EPOCH};

    const NOW: SystemTime = UNIX_EPOCH;

    fn entry(label: &str, change: impl FnOnce(&mut Terms)) -> Entry {
        let mut terms = Terms { label: Some(label.to_owned()), ..Terms::default() };
        change(&mut terms);
        Entry::key(KeyHeader::Bearer, &Secret::new(format!("sk-{label}")), terms).unwrap()
    }

    fn same(_: &mut Terms) {}

    fn picks(credentials: &Credentials, count: usize, usable: impl Fn(&Entry) -> bool) -> String {
        let pick = |_| credentials.pick(NOW, &usable).map_or("-".to_owned(), |e| e.label().to_string());
        (0..count).map(pick).collect()
    }

    #[test]
    fn keys_take_turns() {
        let credentials = Credentials::new([entry("a", same), entry("b", same), entry("c", same)]);
        assert_eq!(picks(&credentials, 6, |_| true), "abcabc");
    }

    #[test]
    fn the_better_priority_serves_until_none_of_it_is_usable() {
        let credentials = Credentials::new([
            entry("a", same),
            entry("b", |t| t.priority = 1),
            entry("c", |t| t.priority = 1),
        ]);
        assert_eq!(picks(&credentials, 4, |_| true), "bcbc");
        assert_eq!(picks(&credentials, 2, |entry| &**entry.label() == "a"), "aa");
    }

    #[test]
    fn one_that_was_tried_is_left_out_and_the_rest_share_evenly() {
        let credentials = Credentials::new([entry("a", same), entry("b", same), entry("c", same)]);
        assert_eq!(picks(&credentials, 4, |entry| &**entry.label() != "a"), "bcbc");
        assert_eq!(picks(&credentials, 1, |_| false), "-");
    }

    #[test]
    fn disabled_and_expired_ones_are_out_and_shown() {
        let credentials = Credentials::new([
            entry("a", |t| t.disabled = true),
            entry("b", |t| t.expires_at = Some(NOW)),
            entry("c", |t| t.expires_at = Some(NOW + Duration::from_secs(1))),
        ]);
        assert_eq!(picks(&credentials, 2, |_| true), "cc");
        let status: Vec<_> = credentials.status(NOW).into_iter().map(|(_, status)| status.name()).collect();
        assert_eq!(status, ["disabled", "expired", "active"]);
        assert!(!credentials.any_active(NOW + Duration::from_secs(1)));
    }

    #[test]
    fn the_same_secret_counts_once_and_labels_are_unique() {
        let twin = Entry::key(KeyHeader::Bearer, &Secret::new("sk-a"), Terms::default()).unwrap();
        let namesake = Terms { label: Some("a".to_owned()), ..Terms::default() };
        let namesake = Entry::key(KeyHeader::Bearer, &Secret::new("other"), namesake).unwrap();
        let credentials = Credentials::new([entry("a", same), twin, namesake]);
        let labels: Vec<_> = credentials.status(NOW).into_iter().map(|(label, _)| label).collect();
        assert_eq!(labels.len(), 2);
        assert!(labels[1].starts_with("a-") && labels[1].len() == 10, "{labels:?}");
    }

    #[test]
    fn those_in_use_are_the_ones_that_can_serve() {
        let credentials = Credentials::new([entry("a", |t| t.disabled = true), entry("b", same)]);
        assert_eq!((credentials.labels_in_use(NOW), credentials.in_use(NOW)), (vec!["b".into()], 1));
    }

    #[test]
    fn a_replaced_set_serves_at_once_and_old_entries_live_on() {
        let credentials = Credentials::new([entry("a", same)]);
        let held = credentials.pick(NOW, |_| true).unwrap();
        credentials.replace([entry("b", same)]);
        assert_eq!(picks(&credentials, 2, |_| true), "bb");
        assert_eq!(&**held.label(), "a");
        assert!(credentials.named("b").is_some() && credentials.named("a").is_none());
    }
}
