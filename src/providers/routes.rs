//! Which providers may serve a model name, and under which name of their own.
//!
//! The rules, in order; the first that finds somebody decides:
//! 1. an entry of the `models:` map, and the entry `"*"` for all names without one;
//! 2. the providers whose `models` list has the name, or an alias of it;
//! 3. `provider/model` names one (after the exact names, since some vendors' names have a slash);
//! 4. the providers without a list whose preset recognises the name.
//!
//! Everything that the configuration names is worked out at load, fallbacks included; a request costs one
//! look-up. This module must not know who is healthy: a route is who *may* serve.

use super::config::{self, ModelRoute};
use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// The entry of `models:` for all names that have none.
pub const ANY: &str = "*";

/// How deep fallbacks of fallbacks are followed.
pub const MAX_FALLBACK_DEPTH: usize = 8;

/// Targets of one route; what a configuration names beyond that is dropped.
pub const MAX_TARGETS: usize = 64;

/// Names offered when a model is unknown.
pub const MAX_NEAR: usize = 5;

/// The longest name, in bytes, that near ones are looked for.
const LONGEST_COMPARED: usize = 256;

/// What the routes need to know of a provider. Its position in the list is its index.
#[derive(Clone, Debug)]
pub struct Supplier {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it serves at all.
    pub enabled: bool,
    /// Its models; if there are none, `prefixes` speak for it.
    pub models: Vec<Supplied>,
    /// How the names of the models begin that its preset recognises.
    pub prefixes: &'static [&'static str],
    /// The best-known of these models, which are listed by name.
    pub known: &'static [&'static str],
}

/// A model of a provider's list.
#[derive(Clone, Debug)]
pub struct Supplied {
    /// The provider's name for it.
    pub name: Arc<str>,
    /// What clients may call it as well.
    pub aliases: Vec<Arc<str>>,
}

/// A provider that may serve, and what to ask it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider's index.
    pub provider: usize,
    /// Its name for the model; `None` is the name that the client gave.
    pub upstream_model: Option<Arc<str>>,
    /// 0 for the model's own targets, higher for fallbacks, which come after all of a lower rank
    /// whatever their priority.
    pub rank: u32,
}

/// Who may serve a name. Never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The providers, in configured order.
    pub targets: Vec<Target>,
    /// Whether answers carry the client's own name for the model.
    pub rewrite_model: bool,
}

/// No provider serves the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownModel {
    /// Names that the client may have meant, nearest first, at most [`MAX_NEAR`].
    pub near: Vec<String>,
}

/// A name that `GET /v1/models` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// The name that clients use.
    pub name: Arc<str>,
    /// The index of the provider that is asked first.
    pub provider: usize,
}

/// All routes of one configuration.
#[derive(Debug, Default)]
pub struct Routes {
    /// Every name that the configuration has; an empty route where all of its providers are disabled.
    named: HashMap<Arc<str>, Arc<Route>>,
    any: Option<Arc<Route>>,
    /// By prefix, the longest first: all providers that recognise what begins so.
    prefixed: Vec<(&'static str, Arc<Route>)>,
    suppliers: Vec<Supplier>,
    listed: Vec<ListedModel>,
}

impl Routes {
    /// Works out every route. Targets that name no provider are left out: `check` reports them.
    pub fn build(suppliers: Vec<Supplier>, entries: &BTreeMap<String, ModelRoute>) -> Routes {
        let mut routes = Routes { suppliers, ..Routes::default() };
        routes.prefixed = routes.by_prefix();
        let builder = Builder { routes: &routes, entries };
        let route_of = |name: &str| Arc::new(builder.route(name));
        let entry_names = entries.keys().map(String::as_str).filter(|name| *name != ANY);
        let model_names = routes.enabled().flat_map(|(_, supplier)| supplier.models.iter().flat_map(names));
        let mut listed = Vec::new();
        let mut named = HashMap::default();
        for name in entry_names.chain(model_names) {
            if named.contains_key(name) {
                continue;
            }
            let (name, route): (Arc<str>, _) = (name.into(), route_of(name));
            if let Some(first) = route.targets.first() {
                listed.push(ListedModel { name: Arc::clone(&name), provider: first.provider });
            }
            named.insert(name, route);
        }
        // What only a preset recognises can't be listed whole; its best-known models stand for it.
        for (index, supplier) in routes.enabled().filter(|(_, supplier)| supplier.models.is_empty()) {
            for known in supplier.known.iter().filter(|known| !named.contains_key(**known)) {
                if listed.iter().all(|model: &ListedModel| &*model.name != *known) {
                    listed.push(ListedModel { name: (*known).into(), provider: index });
                }
            }
        }
        let any = entries.contains_key(ANY).then(|| route_of(ANY));
        Routes { named, any, listed, ..routes }
    }

    /// Who may serve this name.
    pub fn resolve(&self, requested: &str) -> Result<Arc<Route>, UnknownModel> {
        let configured = self.named.get(requested).or(self.any.as_ref()).cloned();
        configured
            .or_else(|| self.by_provider_name(requested).map(|target| Arc::new(Route::to(target))))
            .or_else(|| self.by_recognition(requested).cloned())
            .filter(|route| !route.targets.is_empty())
            .ok_or_else(|| UnknownModel { near: self.near(requested) })
    }

    /// The names that the configuration has: entries first, then models and aliases in its order; then the
    /// best-known models of presets without a list.
    pub fn models(&self) -> &[ListedModel] {
        &self.listed
    }

    /// The provider's own names of the models that the configuration may ask it for.
    pub fn upstream_names(&self, provider: usize) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for (name, route) in &self.named {
            let own = route.targets.iter().filter(|target| target.provider == provider);
            names.extend(own.map(|target| target.upstream_model.as_deref().unwrap_or(name)));
        }
        names
    }

    fn enabled(&self) -> impl Iterator<Item = (usize, &Supplier)> {
        self.suppliers.iter().enumerate().filter(|(_, supplier)| supplier.enabled)
    }

    /// Rule 2.
    fn by_list(&self, requested: &str) -> Vec<Target> {
        let target = |(index, supplier): (usize, &Supplier)| {
            supplier.model(requested).map(|model| Target::new(index, requested, &model.name))
        };
        self.enabled().filter_map(target).collect()
    }

    /// Rule 3. A provider with a list serves only what is on it, under this form of the name too.
    fn by_provider_name(&self, requested: &str) -> Option<Target> {
        let (provider, model) = requested.split_once('/').filter(|(_, model)| !model.is_empty())?;
        let (index, supplier) = self.enabled().find(|(_, supplier)| &*supplier.name == provider)?;
        let upstream =
            if supplier.models.is_empty() { model.into() } else { Arc::clone(&supplier.model(model)?.name) };
        Some(Target { provider: index, upstream_model: Some(upstream), rank: 0 })
    }

    /// Rule 4. Every shorter prefix of the name is one of its longest, whose route has them all.
    fn by_recognition(&self, requested: &str) -> Option<&Arc<Route>> {
        self.prefixed.iter().find(|(prefix, _)| requested.starts_with(prefix)).map(|(_, route)| route)
    }

    fn by_prefix(&self) -> Vec<(&'static str, Arc<Route>)> {
        let recognising = || self.enabled().filter(|(_, supplier)| supplier.models.is_empty());
        let mut prefixes: Vec<&'static str> =
            recognising().flat_map(|(_, supplier)| supplier.prefixes).copied().collect();
        prefixes.sort_by_key(|prefix| (std::cmp::Reverse(prefix.len()), *prefix));
        prefixes.dedup();
        let route = |prefix: &'static str| {
            let targets = recognising()
                .filter(|(_, supplier)| supplier.prefixes.iter().any(|shorter| prefix.starts_with(shorter)))
                .map(|(index, _)| Target { provider: index, upstream_model: None, rank: 0 });
            Arc::new(Route { targets: targets.collect(), rewrite_model: false })
        };
        prefixes.into_iter().map(|prefix| (prefix, route(prefix))).collect()
    }

    fn near(&self, requested: &str) -> Vec<String> {
        const NEAR_ENOUGH: f64 = 0.8;
        if requested.len() > LONGEST_COMPARED {
            return Vec::new();
        }
        let likeness =
            |listed: &ListedModel| (strsim::jaro_winkler(requested, &listed.name), Arc::clone(&listed.name));
        let mut near: Vec<_> =
            self.listed.iter().map(likeness).filter(|(like, _)| *like >= NEAR_ENOUGH).collect();
        near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        near.into_iter().take(MAX_NEAR).map(|(_, name)| name.to_string()).collect()
    }
}

impl Supplier {
    fn model(&self, requested: &str) -> Option<&Supplied> {
        self.models.iter().find(|model| names(model).any(|name| name == requested))
    }
}

/// The model's own name and its aliases.
fn names(model: &Supplied) -> impl Iterator<Item = &str> {
    std::iter::once(&*model.name).chain(model.aliases.iter().map(|alias| &**alias))
}

impl Target {
    fn new(provider: usize, requested: &str, upstream: &Arc<str>) -> Target {
        let renamed = &**upstream != requested;
        Target { provider, upstream_model: renamed.then(|| Arc::clone(upstream)), rank: 0 }
    }
}

impl Route {
    fn to(target: Target) -> Route {
        Route { targets: vec![target], rewrite_model: false }
    }
}

/// Follows entries and their fallbacks at load.
struct Builder<'a> {
    routes: &'a Routes,
    entries: &'a BTreeMap<String, ModelRoute>,
}

/// The route of one name while it is followed.
struct Walk<'a> {
    /// The name that the client gives; `*` where it may be any.
    requested: &'a str,
    visited: HashSet<&'a str>,
    targets: Vec<Target>,
    rank: u32,
}

impl<'a> Builder<'a> {
    fn route(&self, requested: &'a str) -> Route {
        let mut walk = Walk { requested, visited: HashSet::new(), targets: Vec::new(), rank: 0 };
        self.follow(requested, 0, &mut walk);
        let rewrite_model = self.entries.get(requested).is_some_and(|entry| entry.rewrite_model);
        Route { targets: walk.targets, rewrite_model }
    }

    fn follow(&self, name: &'a str, depth: usize, walk: &mut Walk<'a>) {
        if depth > MAX_FALLBACK_DEPTH || !walk.visited.insert(name) {
            return;
        }
        let entry = self.entries.get(name);
        let targets = entry.map_or(&[][..], |entry| &entry.targets);
        if targets.is_empty() {
            self.follow_known(name, depth, walk);
        } else {
            walk.take(name, targets.iter().filter_map(|target| self.target(name, target)).collect());
        }
        for fallback in entry.map_or(&[][..], |entry| &entry.fallbacks) {
            self.follow(fallback, depth + 1, walk);
        }
    }

    /// Those that know the name without an entry, or an entry that leaves its targets to them.
    fn follow_known(&self, name: &'a str, depth: usize, walk: &mut Walk<'a>) {
        let listed = self.routes.by_list(name);
        if self.entries.contains_key(ANY) && !self.entries.contains_key(name) {
            self.follow(ANY, depth + 1, walk);
        } else if !listed.is_empty() {
            walk.take(name, listed);
        } else if let Some(target) = self.routes.by_provider_name(name) {
            walk.take(name, vec![target]);
        } else if let Some(route) = self.routes.by_recognition(name) {
            walk.take(name, route.targets.clone());
        }
    }

    /// A target of an entry, by the provider's own name for the model.
    fn target(&self, name: &str, wanted: &config::Target) -> Option<Target> {
        let (index, supplier) =
            self.routes.enabled().find(|(_, supplier)| *supplier.name == wanted.provider)?;
        let asked = wanted.model.as_deref().unwrap_or(name);
        let upstream = supplier.model(asked).map_or_else(|| asked.into(), |model| Arc::clone(&model.name));
        Some(Target::new(index, name, &upstream))
    }
}

impl Walk<'_> {
    /// Adds targets found under `name` as the next rank, without doubles.
    fn take(&mut self, name: &str, targets: Vec<Target>) {
        let before = self.targets.len();
        for mut target in targets {
            // What a fallback leaves as the client said is the fallback's name, unless that is any.
            if target.upstream_model.is_none() && name != self.requested && name != ANY {
                target.upstream_model = Some(name.into());
            }
            let is_double = |other: &Target| {
                (other.provider, &other.upstream_model) == (target.provider, &target.upstream_model)
            };
            if self.targets.len() < MAX_TARGETS && !self.targets.iter().any(is_double) {
                target.rank = self.rank;
                self.targets.push(target);
            }
        }
        if self.targets.len() > before {
            self.rank += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supplier(name: &str, models: &[(&str, &[&str])], prefixes: &'static [&'static str]) -> Supplier {
        let supplied = |(name, aliases): &(&str, &[&str])| Supplied {
            name: (*name).into(),
            aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
        };
        Supplier {
            name: name.into(),
            enabled: true,
            models: models.iter().map(supplied).collect(),
            prefixes,
            known: &[],
        }
    }

    fn entry(targets: &[(&str, Option<&str>)], fallbacks: &[&str]) -> ModelRoute {
        let target = |(provider, model): &(&str, Option<&str>)| config::Target {
            provider: (*provider).to_owned(),
            model: model.map(str::to_owned),
        };
        ModelRoute {
            targets: targets.iter().map(target).collect(),
            fallbacks: fallbacks.iter().map(|name| (*name).to_owned()).collect(),
            rewrite_model: false,
        }
    }

    fn routes(suppliers: &[Supplier], entries: &[(&str, ModelRoute)]) -> Routes {
        let entries = entries.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone())).collect();
        Routes::build(suppliers.to_vec(), &entries)
    }

    /// `provider:model@rank …`, `=` for the client's own name, `none` if there is no route.
    fn shown(routes: &Routes, requested: &str) -> String {
        let Ok(route) = routes.resolve(requested) else { return "none".to_owned() };
        let show = |target: &Target| {
            let provider = &routes.suppliers[target.provider].name;
            format!("{provider}:{}@{}", target.upstream_model.as_deref().unwrap_or("="), target.rank)
        };
        route.targets.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    /// Three vendors by preset, and one service with a list.
    fn vendors() -> Vec<Supplier> {
        vec![
            supplier("claude", &[], &["claude-"]),
            supplier("openai", &[], &["gpt-", "o1", "text-embedding-"]),
            supplier("azure", &[], &["gpt-", "gpt-4"]),
            supplier("router", &[("meta/llama-4", &["llama"]), ("gpt-5", &[])], &[]),
        ]
    }

    #[test]
    fn rule_1_an_entry_decides_alone() {
        let entries = [("gpt-5", entry(&[("claude", Some("claude-x")), ("openai", None)], &[]))];
        let routes = routes(&vendors(), &entries);
        assert_eq!(shown(&routes, "gpt-5"), "claude:claude-x@0 openai:=@0");
    }

    #[test]
    fn rule_1_the_star_takes_every_name_without_an_entry() {
        let any = entry(&[("claude", None), ("openai", None), ("router", Some("llama"))], &[]);
        let routes = routes(&vendors(), &[("*", any), ("mine", entry(&[("openai", Some("gpt-4"))], &[]))]);
        for name in ["anything", "claude-x", "x/y"] {
            assert_eq!(shown(&routes, name), "claude:=@0 openai:=@0 router:meta/llama-4@0", "{name}");
        }
        assert_eq!(shown(&routes, "mine"), "openai:gpt-4@0");
        assert!(routes.models().iter().all(|model| &*model.name != "*"), "it is no model to list");
    }

    #[test]
    fn rule_2_lists_are_searched_by_name_and_alias() {
        let mut suppliers = vendors();
        suppliers.push(supplier("groq", &[("llama-4-fast", &["llama"])], &[]));
        let routes = routes(&suppliers, &[]);
        assert_eq!(shown(&routes, "llama"), "router:meta/llama-4@0 groq:llama-4-fast@0");
        assert_eq!(shown(&routes, "gpt-5"), "router:=@0", "a list goes before a preset");
    }

    #[test]
    fn rule_3_a_slash_names_a_provider_unless_a_model_is_called_so() {
        let routes = routes(&vendors(), &[]);
        assert_eq!(shown(&routes, "meta/llama-4"), "router:=@0");
        assert_eq!(shown(&routes, "openai/anything/at-all"), "openai:anything/at-all@0");
        assert_eq!(shown(&routes, "router/llama"), "router:meta/llama-4@0");
        assert_eq!(shown(&routes, "router/unlisted"), "none");
        assert_eq!(shown(&routes, "openai/"), "none");
    }

    #[test]
    fn rule_4_presets_recognise_the_beginnings_of_names() {
        let routes = routes(&vendors(), &[]);
        assert_eq!(shown(&routes, "claude-opus-5"), "claude:=@0");
        assert_eq!(shown(&routes, "gpt-4o"), "openai:=@0 azure:=@0");
        assert_eq!(shown(&routes, "gpt-3"), "openai:=@0 azure:=@0");
        assert_eq!(shown(&routes, "o1-mini"), "openai:=@0");
        assert_eq!(shown(&routes, "mistral"), "none");
    }

    #[test]
    fn disabled_providers_are_out_everywhere() {
        let mut suppliers = vendors();
        for supplier in &mut suppliers {
            supplier.enabled = &*supplier.name == "azure";
        }
        let routes = routes(&suppliers, &[("mine", entry(&[("openai", None)], &[]))]);
        assert_eq!(shown(&routes, "gpt-4o"), "azure:=@0");
        for name in ["mine", "llama", "claude-x", "openai/gpt-4"] {
            assert_eq!(shown(&routes, name), "none", "{name}");
        }
        assert!(routes.models().is_empty());
    }

    #[test]
    fn fallbacks_follow_in_order_under_their_own_names() {
        let entries = [
            ("best", entry(&[("claude", Some("claude-x"))], &["good", "gpt-5", "claude-y"])),
            ("good", entry(&[("openai", None), ("azure", Some("gpt-4"))], &[])),
        ];
        let expected = "claude:claude-x@0 openai:good@1 azure:gpt-4@1 router:gpt-5@2 claude:claude-y@3";
        assert_eq!(shown(&routes(&vendors(), &entries), "best"), expected);
    }

    #[test]
    fn fallbacks_in_a_circle_end() {
        let entries = [
            ("a", entry(&[("claude", None)], &["b"])),
            ("b", entry(&[("openai", None)], &["a", "b"])),
            ("*", entry(&[("azure", None)], &["*", "unheard-of"])),
        ];
        let routes = routes(&vendors(), &entries);
        assert_eq!(shown(&routes, "a"), "claude:=@0 openai:b@1");
        assert_eq!(shown(&routes, "b"), "openai:=@0 claude:a@1");
        assert_eq!(shown(&routes, "x"), "azure:=@0");
    }

    #[test]
    fn fallbacks_are_followed_to_a_bound() {
        let chain: Vec<_> = (0..20)
            .map(|n| (format!("m{n:02}"), entry(&[("openai", None)], &[&format!("m{:02}", n + 1)])))
            .collect();
        let routes = Routes::build(vendors(), &chain.into_iter().collect());
        let route = routes.resolve("m00").unwrap();
        assert_eq!(route.targets.len(), MAX_FALLBACK_DEPTH + 1);
        assert_eq!(shown(&routes, "m19"), "openai:=@0");
    }

    #[test]
    fn targets_of_a_route_are_bounded() {
        let names: Vec<_> = (0..65).map(|n| format!("m{n}")).collect();
        let targets: Vec<_> = names.iter().map(|name| ("openai", Some(name.as_str()))).collect();
        let routes = routes(&vendors(), &[("many", entry(&targets, &[]))]);
        assert_eq!(routes.resolve("many").unwrap().targets.len(), MAX_TARGETS);
    }

    #[test]
    fn an_unknown_name_is_answered_with_near_ones() {
        let routes = routes(&vendors(), &[]);
        assert_eq!(routes.resolve("lama").unwrap_err().near, ["llama"]);
        assert_eq!(routes.resolve("meta/lama-4").unwrap_err().near, ["meta/llama-4"]);
        assert!(routes.resolve(&"llama".repeat(60)).unwrap_err().near.is_empty());
    }

    #[test]
    fn the_list_shows_entries_models_and_aliases_once() {
        let entries = [("mine", entry(&[("claude", None)], &[])), ("gpt-5", entry(&[("openai", None)], &[]))];
        let routes = routes(&vendors(), &entries);
        let listed: Vec<_> = routes.models().iter().map(|model| &*model.name).collect();
        assert_eq!(listed, ["gpt-5", "mine", "meta/llama-4", "llama"]);
    }
}
