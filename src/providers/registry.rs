//! All providers of one configuration: an immutable snapshot, swapped whole on a reload.
//!
//! One request sees one snapshot. A new one takes over the live state of the providers that it has in
//! common with the last, by name. This module must not know what makes a provider eligible beyond its
//! own means: health, cooldown and quota are the caller's to ask.

use super::auths::Auths;
use super::config::ModelRoute;
use super::definition::Definition;
use super::key::INLINE_CANDIDATES;
use super::provider::Provider;
use super::resolve::{Change, Lookup};
use super::routes::{ListedModel, Route, Routes, Target, UnknownModel};
use super::selector::Pool;
use crate::balance::{Candidate, Facts, Strategy, Tickets, best_tier};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::task::JoinSet;

/// What a registry is built from.
pub struct Blueprint {
    /// The providers, in configured order.
    pub definitions: Vec<Definition>,
    /// The `models:` map.
    pub models: BTreeMap<String, ModelRoute>,
    /// How one provider is chosen among equals.
    pub strategy: Arc<dyn Strategy>,
}

/// A snapshot of all providers.
pub struct Registry {
    providers: Vec<Arc<Provider>>,
    by_name: HashMap<Arc<str>, usize>,
    routes: Routes,
    pool: Pool,
    strategy: Arc<dyn Strategy>,
    tickets: Arc<Tickets>,
}

impl Registry {
    /// Builds a snapshot; `previous` is the one that it replaces.
    pub fn build(blueprint: Blueprint, previous: Option<&Registry>) -> Registry {
        let Blueprint { definitions, models, strategy } = blueprint;
        let routes = Routes::build(definitions.iter().map(Definition::supplier).collect(), &models);
        let provider = |(index, definition): (usize, Definition)| {
            let old = previous.and_then(|registry| registry.named(&definition.name));
            Arc::new(Provider::new(index, definition, old.map(Arc::as_ref)))
        };
        let providers: Vec<_> = definitions.into_iter().enumerate().map(provider).collect();
        Registry {
            by_name: providers.iter().map(|p| (Arc::clone(p.name()), p.index)).collect(),
            routes,
            pool: Pool::new(providers.len(), Arc::clone(&strategy)),
            strategy,
            tickets: previous.map_or_else(
                || Arc::new(Tickets::new(Tickets::PROVIDER_SETS)),
                |registry| Arc::clone(&registry.tickets),
            ),
            providers,
        }
    }

    /// The providers, in configured order; a provider's index is its position.
    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// The provider at that index.
    pub fn provider(&self, index: usize) -> Option<&Arc<Provider>> {
        self.providers.get(index)
    }

    /// The provider of that name.
    pub fn named(&self, name: &str) -> Option<&Arc<Provider>> {
        self.by_name.get(name).and_then(|index| self.providers.get(*index))
    }

    /// The name of the strategy in use.
    pub fn strategy(&self) -> &'static str {
        self.strategy.name()
    }

    /// Who may serve this model, in the order of the rules in [`super::routes`].
    pub fn resolve(&self, requested: &str) -> Result<Arc<Route>, UnknownModel> {
        self.routes.resolve(requested)
    }

    /// The provider's own names of the models that the configuration may ask it for.
    pub fn upstream_names(&self, provider: usize) -> BTreeSet<&str> {
        self.routes.upstream_names(provider)
    }

    /// What `GET /v1/models` shows: the names that the configuration has.
    pub fn models(&self) -> &[ListedModel] {
        self.routes.models()
    }

    /// The target to use: of the eligible ones those of the best tier, and of these the strategy's choice,
    /// made by Pingora's load balancer. `None` only if none is eligible.
    pub fn choose<'a>(
        &self,
        eligible: impl Iterator<Item = &'a Target>,
        session: Option<u64>,
    ) -> Option<Target> {
        // Asked once each: a provider that fills up meanwhile must not be picked and then not be found.
        let eligible: SmallVec<[&Target; INLINE_CANDIDATES]> = eligible.collect();
        let tier = |target: &Target| {
            let provider = self.providers.get(target.provider)?;
            Some(((target.rank, provider.definition.priority), provider.candidate()))
        };
        let mut candidates: SmallVec<[Candidate; INLINE_CANDIDATES]> = SmallVec::new();
        for candidate in best_tier(eligible.iter().copied().filter_map(tier)) {
            // Two models of one provider are one candidate: its share is by provider.
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        if candidates.is_empty() {
            return None;
        }
        let facts = Facts { ticket: self.tickets.next(&candidates), session };
        let picked = self.pool.pick(&candidates, &facts)?;
        let target =
            eligible.into_iter().filter(|target| target.provider == picked).min_by_key(|target| target.rank);
        // A strategy that names a provider which is no candidate is obeyed: what was asked for, from there.
        Some(target.cloned().unwrap_or(Target { provider: picked, upstream_model: None, rank: 0 }))
    }

    /// How good a target is, lower being better: fallbacks come after a model's own targets, then the
    /// provider's priority decides.
    pub fn tier(&self, target: &Target) -> (u32, u32) {
        let provider = self.providers.get(target.provider);
        (target.rank, provider.map_or(u32::MAX, |provider| provider.definition.priority))
    }

    /// Gives each provider the credentials that files hold for it. Files for others are the caller's to
    /// warn of: [`Auths::strangers`].
    pub fn take_auths(&self, auths: &Auths) {
        for provider in &self.providers {
            provider.take_auths(auths.entries(&provider.definition));
        }
    }

    /// Looks all names up, at once; gives what changed, by provider.
    pub async fn resolve_names(&self, lookup: Arc<dyn Lookup>) -> Vec<(Arc<Provider>, Change)> {
        let mut looked_up = JoinSet::new();
        for provider in self.providers.iter().filter(|provider| provider.definition.enabled) {
            let (provider, lookup) = (Arc::clone(provider), Arc::clone(&lookup));
            looked_up.spawn(async move {
                let change = provider.resolver().refresh(&*lookup).await;
                change.map(|change| (provider, change))
            });
        }
        let mut changes = Vec::new();
        while let Some(result) = looked_up.join_next().await {
            changes.extend(result.ok().flatten());
        }
        changes.sort_by_key(|(provider, _)| provider.index);
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::RoundRobin;
    use crate::domain::{Dialect, Secret};
    use crate::providers::auths::{AuthFile, Proof, Usage};
    use crate::providers::config::{self, Model};
    use crate::settings::{Scalar, Url};
    use async_trait::async_trait;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::UNIX_EPOCH;

    struct Always(u32);

    impl Strategy for Always {
        fn name(&self) -> &'static str {
            "always"
        }

        fn pick(&self, _: &[Candidate], _: &Facts) -> Option<u32> {
            Some(self.0)
        }
    }

    fn definition(name: &str, models: &[&str], change: impl FnOnce(&mut config::Provider)) -> Definition {
        let mut settings = config::Provider {
            format: Some(Dialect::OpenAi),
            base_url: Url::parse("http://127.0.0.1:9"),
            models: models.iter().map(|name| Model::named(name)).collect(),
            ..config::Provider::default()
        };
        change(&mut settings);
        Definition::new(name, &settings).unwrap()
    }

    fn same(_: &mut config::Provider) {}

    fn registry(definitions: Vec<Definition>) -> Registry {
        let blueprint = Blueprint { definitions, models: BTreeMap::new(), strategy: Arc::new(RoundRobin) };
        Registry::build(blueprint, None)
    }

    /// How often each provider is chosen when these models are asked for in turn.
    fn served(registry: &Registry, rounds: usize, models: &[&str], down: &[usize]) -> Vec<usize> {
        let mut served = vec![0; registry.providers().len()];
        for model in models.iter().cycle().take(rounds * models.len()) {
            let route = registry.resolve(model).unwrap();
            let eligible = route.targets.iter().filter(|target| !down.contains(&target.provider));
            served[registry.choose(eligible, None).unwrap().provider] += 1;
        }
        served
    }

    #[test]
    fn two_providers_on_one_host_and_port_get_even_shares() {
        let registry = registry(vec![definition("a", &["m"], same), definition("b", &["m"], same)]);
        assert_eq!(served(&registry, 100, &["m"], &[]), [50, 50]);
    }

    #[test]
    fn with_overlapping_models_the_share_of_one_that_is_down_spreads_evenly() {
        let registry = registry(vec![
            definition("a", &["x", "y"], same),
            definition("b", &["x"], same),
            definition("c", &["x", "y"], same),
            definition("d", &["y"], same),
        ]);
        assert_eq!(served(&registry, 300, &["x", "y"], &[]), [200, 100, 200, 100]);
        assert_eq!(served(&registry, 300, &["x", "y"], &[0]), [0, 150, 300, 150]);
    }

    #[test]
    fn a_worse_tier_serves_only_when_the_better_one_is_gone() {
        let registry = registry(vec![
            definition("spare", &["m"], |p| p.priority = 200),
            definition("a", &["m"], same),
            definition("b", &["m"], |p| p.weight = 3),
        ]);
        let shares = served(&registry, 400, &["m"], &[]);
        assert!(shares[0] == 0 && (95..=105).contains(&shares[1]), "{shares:?}");
        assert_eq!(served(&registry, 10, &["m"], &[1, 2]), [10, 0, 0]);
    }

    #[test]
    fn a_fallback_waits_for_all_own_targets_whatever_its_priority() {
        let mut models = BTreeMap::new();
        let target = |provider: &str| config::Target { provider: provider.to_owned(), model: None };
        let route = |targets, fallbacks| ModelRoute { targets, fallbacks, rewrite_model: false };
        models.insert("best".to_owned(), route(vec![target("a")], vec!["next".to_owned()]));
        models.insert("next".to_owned(), route(vec![target("b")], vec![]));
        let definitions =
            vec![definition("a", &[], |p| p.priority = 200), definition("b", &[], |p| p.priority = 1)];
        let blueprint = Blueprint { definitions, models, strategy: Arc::new(RoundRobin) };
        let registry = Registry::build(blueprint, None);
        assert_eq!(served(&registry, 4, &["best"], &[]), [4, 0]);
        assert_eq!(served(&registry, 4, &["best"], &[0]), [0, 4]);
    }

    #[test]
    fn another_strategy_is_all_it_takes_to_send_everything_to_b() {
        let definitions = ["a", "b", "c"].map(|name| definition(name, &["m"], same)).into();
        let blueprint = Blueprint { definitions, models: BTreeMap::new(), strategy: Arc::new(Always(1)) };
        let registry = Registry::build(blueprint, None);
        assert_eq!(served(&registry, 9, &["m"], &[]), [0, 9, 0]);
        assert_eq!(registry.strategy(), "always");
    }

    #[test]
    fn nobody_eligible_is_nobody_chosen() {
        for strategy in [Arc::new(RoundRobin) as Arc<dyn Strategy>, Arc::new(Always(0))] {
            let definitions = vec![definition("a", &["m"], same)];
            let registry =
                Registry::build(Blueprint { definitions, models: BTreeMap::new(), strategy }, None);
            assert!(registry.choose([].iter(), None).is_none());
            assert!(registry.resolve("n").is_err());
        }
    }

    #[test]
    fn a_provider_that_fills_up_during_the_choice_is_still_asked_for_its_own_model() {
        let aliased = |p: &mut config::Provider| p.models[0].alias = Some("m".to_owned());
        let registry = registry(vec![definition("a", &["a-model"], aliased)]);
        let route = registry.resolve("m").unwrap();
        let looks = AtomicUsize::new(0);
        let has_room_once = |_: &&Target| looks.fetch_add(1, Ordering::Relaxed) == 0;
        let chosen = registry.choose(route.targets.iter().filter(has_room_once), None).unwrap();
        assert_eq!(chosen.upstream_model.as_deref(), Some("a-model"));
    }

    #[test]
    fn a_reload_keeps_live_state_by_name() {
        let old = registry(vec![definition("a", &["m"], same), definition("b", &["m"], same)]);
        let _permit = old.named("b").unwrap().admit();
        let definitions = vec![definition("b", &["n"], same)];
        let blueprint = Blueprint { definitions, models: BTreeMap::new(), strategy: Arc::new(RoundRobin) };
        let new = Registry::build(blueprint, Some(&old));
        let provider = new.named("b").unwrap();
        assert_eq!((provider.in_flight(), provider.index), (1, 0));
        assert!(new.named("a").is_none() && new.resolve("n").is_ok() && new.resolve("m").is_err());
        assert!(old.resolve("m").is_ok(), "requests in flight keep the old snapshot");
    }

    #[test]
    fn files_add_credentials_and_take_them_back() {
        let registry = registry(vec![definition("a", &[], |p| p.api_key = Some(Secret::new("inline")))]);
        let count = || registry.providers()[0].credentials().status(UNIX_EPOCH).len();
        let usage = Usage { provider: Some("a".to_owned()), ..Usage::default() };
        let file = AuthFile { usage, proof: Proof::Key(Secret::new("filed")) };
        registry.take_auths(&Auths { files: vec![("a.yaml".into(), file)], problems: vec![] });
        assert_eq!(count(), 2);
        registry.take_auths(&Auths::default());
        assert_eq!(count(), 1);
    }

    #[tokio::test]
    async fn names_are_looked_up_together_and_one_that_fails_stops_no_other() {
        struct OnlyA;
        #[async_trait]
        impl Lookup for OnlyA {
            async fn lookup(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
                if host == "a.example" {
                    Ok(vec![([127, 0, 0, 1], port).into()])
                } else {
                    Err(std::io::Error::other("no"))
                }
            }
        }
        let at = |url: &'static str| move |p: &mut config::Provider| p.base_url = Url::parse(url);
        let registry = registry(vec![
            definition("b", &[], at("https://b.example")),
            definition("a", &[], at("https://a.example")),
            definition("ip", &[], same),
        ]);
        let changes = registry.resolve_names(Arc::new(OnlyA)).await;
        let names: Vec<_> = changes.iter().map(|(provider, _)| &**provider.name()).collect();
        assert_eq!(names, ["b", "a"]);
        let resolved: Vec<_> = registry.providers().iter().map(|p| p.resolver().is_resolved()).collect();
        assert_eq!(resolved, [false, true, true]);
    }
}
