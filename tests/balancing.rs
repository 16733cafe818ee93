//! Who is asked: rotation, weights, tiers, names of models, credentials.

use crate::support::{
    Client, Gateway, Metrics, Provider, Question, Response, eventually, free_port, start_inside,
};
use async_trait::async_trait;
use cliproxy::app::Parts;
use cliproxy::balance::{Candidate, Facts, Strategy};
use cliproxy::domain::Dialect;
use cliproxy::providers::resolve::Lookup;
use cliproxy::simulator::{Behaviour, Options, Simulator};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn question(model: &str) -> Question {
    Question::new(Dialect::OpenAi, model)
}

#[track_caller]
fn ask(client: &Client, model: &str) -> Response {
    question(model).to(client).send().expect(200)
}

/// Asks so many times, and counts who answered.
#[track_caller]
fn shares(client: &Client, model: &str, requests: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..requests {
        *shares.entry(provider_of(&ask(client, model))).or_default() += 1;
    }
    shares
}

#[track_caller]
fn provider_of(answer: &Response) -> String {
    answer.header("x-cliproxy-provider").expect("the provider's name").to_owned()
}

fn expected(shares: &[(&str, usize)]) -> BTreeMap<String, usize> {
    shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
}

const M: &[&str] = &["models: [m]"];

#[test]
fn two_and_three_providers_take_turns() {
    let providers = [Provider::openai(), Provider::openai(), Provider::openai()];
    let entries: Vec<String> =
        providers.iter().zip(["a", "b", "c"]).map(|(provider, name)| provider.yaml_with(name, M)).collect();
    let two = Gateway::start(&format!("providers:\n{}{}", entries[0], entries[1]));
    assert_eq!(shares(&two.client(), "m", 30), expected(&[("a", 15), ("b", 15)]));
    assert_eq!(providers.each_ref().map(|provider| provider.asked().len()), [15, 15, 0]);

    let three = Gateway::start(&format!("providers:\n{}", entries.concat()));
    assert_eq!(shares(&three.client(), "m", 30), expected(&[("a", 10), ("b", 10), ("c", 10)]));
    assert_eq!(providers.each_ref().map(|provider| provider.asked().len()), [25, 25, 10]);
}

#[test]
fn weights_are_shares() {
    let (a, b) = (Provider::openai(), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        a.yaml_with("a", &["models: [m]", "weight: 3"]),
        b.yaml_with("b", &["models: [m]", "weight: 1"])
    ));
    let shares = shares(&gateway.client(), "m", 40);
    assert_eq!(shares["a"] + shares["b"], 40);
    assert!((29..=31).contains(&shares["a"]), "three of four, but for one: {shares:?}");
}

#[test]
fn a_lower_tier_serves_while_the_better_one_fails_and_no_longer() {
    let (best, spare) = (Provider::openai(), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        best.yaml_with("best", &["models: [m]", "priority: 1"]),
        spare.yaml_with("spare", &["models: [m]", "priority: 2"])
    ));
    let client = gateway.client();
    assert_eq!(shares(&client, "m", 4), expected(&[("best", 4)]));
    best.set_behaviour(Behaviour::Status(503));
    assert_eq!(shares(&client, "m", 2), expected(&[("spare", 2)]));
    best.set_behaviour(Behaviour::Normal);
    // Whatever is done about a provider that failed: before long it serves again, and then all.
    eventually("it fails back", || (provider_of(&ask(&client, "m")) == "best").then_some(()));
    assert_eq!(shares(&client, "m", 4), expected(&[("best", 4)]));
}

#[test]
fn with_one_of_three_down_its_share_spreads_evenly() {
    let (a, b, c) = (Provider::openai(), Provider::openai().failing_with(500), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}{}",
        a.yaml_with("a", &["models: [m, ab]"]),
        b.yaml_with("b", &["models: [m, ab, bc]"]),
        c.yaml_with("c", &["models: [m, bc]"])
    ));
    let client = gateway.client();
    let mut total = BTreeMap::new();
    for _ in 0..12 {
        // Models of other sets in between must not disturb the rotation of this one.
        assert_eq!(provider_of(&ask(&client, "ab")), "a");
        *total.entry(provider_of(&ask(&client, "m"))).or_default() += 1;
        assert_eq!(provider_of(&ask(&client, "bc")), "c");
        *total.entry(provider_of(&ask(&client, "m"))).or_default() += 1;
    }
    assert_eq!(total, expected(&[("a", 12), ("c", 12)]));
}

/// A name that has eight addresses.
struct Eight {
    port: u16,
}

impl Eight {
    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let port = self.port;
        (2..10).map(move |last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), port)))
    }
}

#[async_trait]
impl Lookup for Eight {
    async fn lookup(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        assert_eq!(host, "eight.test");
        Ok(self.addresses().collect())
    }
}

/// A simulator that takes any key.
fn simulator(listen: SocketAddr) -> Simulator {
    Simulator::start(Options { listen, ..Options::default() }).expect("a simulator")
}

#[test]
fn neither_a_shared_address_nor_many_of_them_change_a_providers_share() {
    let eight = Eight { port: free_port() };
    let shared = simulator(Options::default().listen);
    let many: Vec<Simulator> = eight.addresses().map(simulator).collect();
    let providers = format!(
        "providers:
  one: {{format: openai, base_url: \"{url}\", api_key: key-one, models: [m]}}
  two: {{format: openai, base_url: \"{url}\", api_key: key-two, models: [m]}}
  many: {{format: openai, base_url: \"http://eight.test:{}\", api_key: key-many, models: [m, warm]}}\n",
        eight.port,
        url = shared.base_url()
    );
    let client = start_inside("[]", &providers, Parts { lookup: Arc::new(eight), ..Parts::default() });
    // The name is looked up beside requests; this one says when that is done.
    eventually("the name resolves", || {
        Some(question("warm").to(&client).send()).filter(|answer| answer.status == 200)
    });
    let before: Vec<u64> = many.iter().map(Simulator::requests).collect();
    assert_eq!(shares(&client, "m", 72), expected(&[("many", 24), ("one", 24), ("two", 24)]));
    let with_key = |key: &str| {
        let bearer = format!("Bearer {key}");
        let asked = shared.transcript();
        asked.iter().filter(|asked| asked.header("authorization") == Some(&bearer)).count()
    };
    assert_eq!([with_key("key-one"), with_key("key-two")], [24, 24], "each with its own key");
    let asked: Vec<u64> = many.iter().zip(before).map(|(it, before)| it.requests() - before).collect();
    assert_eq!(asked, [3; 8]);
}

/// Picks the second provider, whoever else is there.
struct AlwaysB;

impl Strategy for AlwaysB {
    fn name(&self) -> &'static str {
        "always_b"
    }

    fn pick(&self, _: &[Candidate], _: &Facts) -> Option<u32> {
        Some(1)
    }
}

#[test]
fn another_selector_decides_on_both_ways() {
    let (a, b) = (Provider::openai(), Provider::openai());
    let providers = format!("providers:\n{}{}", a.yaml_with("a", M), b.yaml_with("b", M));
    let keys = "[{key: secret, name: tester, passthrough: [a, b]}]";
    let client = start_inside(keys, &providers, Parts { strategy: Arc::new(AlwaysB), ..Parts::default() });
    for _ in 0..4 {
        let answer = question("m").to(&client).bearer("secret").send().expect(200);
        assert_eq!(provider_of(&answer), "b");
    }
    client.post("/providers/a/v1/files/x").bearer("secret").body("content").send().expect(200);
    let paths: Vec<String> = b.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, [vec!["/v1/chat/completions"; 4], vec!["/v1/files/x"]].concat());
    assert_eq!(a.requests(), 0);
}

#[test]
fn a_map_of_models_gives_each_provider_a_name_of_its_own_and_falls_back() {
    let (a, b, c) = (Provider::openai(), Provider::openai(), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}{}
models:
  smart:
    targets: [{{provider: a, model: a-large}}, {{provider: b, model: b-large}}]
    fallbacks: [plain]
  plain:
    targets: [{{provider: c, model: c-small}}]\n",
        a.yaml_with("a", &["priority: 7"]),
        b.yaml_with("b", &["priority: 7"]),
        c.yaml_with("c", &["priority: 1"])
    ));
    let client = gateway.client();
    let models = |requests: usize| {
        let answers = (0..requests).map(|_| ask(&client, "smart"));
        let mut models: Vec<String> = answers
            .map(|answer| answer.header("x-cliproxy-model").expect("the model's name").to_owned())
            .collect();
        models.sort();
        models
    };
    assert_eq!(models(4), ["a-large", "a-large", "b-large", "b-large"]);
    assert_eq!(a.asked()[0].json()["model"], "a-large");
    a.set_behaviour(Behaviour::Status(500));
    assert_eq!(
        models(2),
        ["b-large", "b-large"],
        "a fallback comes after all targets, whatever its priority"
    );
    b.set_behaviour(Behaviour::Status(500));
    assert_eq!(models(2), ["c-small", "c-small"]);
    assert_eq!(c.asked()[0].json()["model"], "c-small");
}

#[test]
fn a_star_has_three_providers_rotate_and_fail_over() {
    let (a, b, c) = (Provider::openai(), Provider::openai(), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}{}models:\n  \"*\": {{targets: [{{provider: a}}, {{provider: b}}, {{provider: c}}]}}\n",
        a.yaml("a"),
        b.yaml("b"),
        c.yaml("c")
    ));
    let client = gateway.client();
    assert_eq!(shares(&client, "whatever", 9), expected(&[("a", 3), ("b", 3), ("c", 3)]));
    a.set_behaviour(Behaviour::Reset);
    assert_eq!(shares(&client, "another", 6), expected(&[("b", 3), ("c", 3)]));
    assert_eq!(b.asked()[0].json()["model"], "whatever");
}

#[test]
fn a_provider_can_be_named_with_the_model() {
    let (a, b) = (Provider::openai(), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        a.yaml_with("a", &["models: [m]"]),
        b.yaml_with("b", &["models: [m, a/m]"])
    ));
    let client = gateway.client();
    assert_eq!(shares(&client, "b/m", 3), expected(&[("b", 3)]));
    assert_eq!(b.asked()[0].json()["model"], "m", "the provider gets its own name for it");
    assert_eq!(shares(&client, "a/m", 3), expected(&[("b", 3)]), "an exact name comes first");
    assert_eq!(b.asked()[3].json()["model"], "a/m");
}

#[test]
fn an_alias_is_the_clients_name_only() {
    let provider = Provider::openai();
    let gateway = Gateway::start(&format!(
        "providers:\n{}",
        provider.yaml_with("p", &["models: [{name: real-2025-01-01, alias: real}]"])
    ));
    let answer = ask(&gateway.client(), "real");
    assert_eq!(answer.header("x-cliproxy-model"), Some("real-2025-01-01"));
    assert_eq!(answer.json()["model"], "real-2025-01-01", "a fallback is never hidden");
    assert_eq!(provider.asked()[0].json()["model"], "real-2025-01-01");
}

#[test]
fn an_unknown_model_is_not_found_and_near_names_are_told() {
    let provider = Provider::openai();
    let gateway = Gateway::start(&format!(
        "providers:\n{}",
        provider.yaml_with("p", &["models: [gpt-4o-mini, gpt-4o, llama]"])
    ));
    let answer = question("gpt-4o-mimi").to(&gateway.client()).send().expect(404);
    assert_eq!(answer.header("x-cliproxy-error"), Some("model_not_found"));
    let message = answer.json()["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("gpt-4o-mini") && !message.contains("llama"), "{message}");
    assert!(provider.asked().is_empty());
    let counted = Metrics::after(&gateway, 1).counted();
    assert!(counted.iter().all(|series| !series.contains("mimi")), "clients make no series: {counted:?}");
}

#[test]
fn a_full_provider_spills_to_the_next_tier() {
    let paced = Options { token_interval: Duration::from_secs(60), ..Options::default() };
    let (first, second) = (Provider::with(Dialect::OpenAi, paced), Provider::openai());
    let gateway = Gateway::start(&format!(
        "providers:\n{}{}",
        first.yaml_with("first", &["models: [m]", "priority: 1", "max_concurrency: 1"]),
        second.yaml_with("second", &["models: [m]", "priority: 2"])
    ));
    let client = gateway.client();
    let mut open = question("m").streamed().to(&client).open();
    assert_eq!(open.header("x-cliproxy-provider"), Some("first"));
    open.next_event().expect("its stream has begun");
    let spilled = ask(&client, "m");
    assert_eq!(provider_of(&spilled), "second");
    assert_eq!(spilled.header("x-cliproxy-attempts"), Some("1"), "a full provider is not tried");
    open.vanish();
    eventually("there is room again", || {
        let mut answer = question("m").streamed().to(&gateway.client()).open();
        let is_first = answer.header("x-cliproxy-provider") == Some("first");
        let _ = answer.next_event();
        answer.vanish();
        is_first.then_some(())
    });
}

/// How often each key was sent.
fn keys(simulator: &Simulator) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for asked in simulator.transcript() {
        let key = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        *keys.entry(key.unwrap_or_default().to_owned()).or_default() += 1;
    }
    keys
}

#[test]
fn the_keys_of_a_provider_take_turns() {
    let simulator = simulator(Options::default().listen);
    let gateway = Gateway::start(&format!(
        "providers:\n  p: {{format: openai, base_url: \"{}\", api_keys: [k1, k2, k3], models: [m]}}\n",
        simulator.base_url()
    ));
    shares(&gateway.client(), "m", 12);
    assert_eq!(keys(&simulator), expected(&[("k1", 4), ("k2", 4), ("k3", 4)]));
}

#[test]
fn a_credential_file_added_while_running_is_used_within_ten_seconds() {
    let simulator = simulator(Options::default().listen);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gateway = Gateway::start(&format!(
        "auth_dir: {}\nproviders:\n  p: {{format: openai, base_url: \"{}\", api_key: inline, models: [m]}}\n",
        folder.path().display(),
        simulator.base_url()
    ));
    let client = gateway.client();
    ask(&client, "m");
    let add = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    add("bad.yaml", "provider: [p\n");
    add("stranger.yaml", "provider: nobody\napi_key: strange\n");
    add("good.json", r#"{"provider": "p", "api_key": "from-file", "label": "spare"}"#);
    let added = Instant::now();
    while !keys(&simulator).contains_key("from-file") {
        assert!(added.elapsed() < Duration::from_secs(10), "{}", gateway.output());
        std::thread::sleep(Duration::from_millis(100));
        ask(&client, "m");
    }
    assert!(!keys(&simulator).contains_key("strange"));
    let output = gateway.output();
    assert!(output.contains("bad.yaml") && output.contains("nobody"), "both are named: {output}");
    assert!(!output.contains("from-file"), "no key is logged");
}

#[test]
fn a_refused_key_does_not_fail_the_request_while_the_provider_has_another() {
    let provider = Provider::openai();
    let entry = provider.yaml_with("p", &["models: [m]"]);
    let keys = format!("api_keys: [revoked, \"{}\"]", provider.key());
    let gateway = Gateway::start(&format!(
        "providers:\n{}",
        entry.replace(&format!("api_key: \"{}\"", provider.key()), &keys)
    ));
    for _ in 0..4 {
        ask(&gateway.client(), "m");
    }
}
