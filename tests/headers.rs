//! Which headers cross the gateway: to providers, and back to clients.

use crate::support::{
    Canned, Client, Gateway, House, Launch, Provider, Response, ask, eventually, model_of, path_of,
    provider_of, question,
};
use cliproxy::domain::Dialect;
use cliproxy::simulator::Received;

const KEYS: &str = "  auth: {api_keys: [{key: client-key, passthrough: [first, second, third]}]}\n";

/// What a client may send that is nobody's business but ours.
const NEVER_UP: [(&str, &str); 27] = [
    ("cookie", "session=1"),
    ("x-forwarded-for", "203.0.113.9"),
    ("x-forwarded-host", "gateway.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-prefix", "/llm"),
    ("forwarded", "for=203.0.113.9"),
    ("via", "1.1 proxy"),
    ("x-real-ip", "203.0.113.9"),
    ("x-client-ip", "203.0.113.9"),
    ("x-cluster-client-ip", "203.0.113.9"),
    ("true-client-ip", "203.0.113.9"),
    ("cf-connecting-ip", "203.0.113.9"),
    ("origin", "http://localhost"),
    ("referer", "http://localhost/page"),
    ("sec-fetch-site", "same-origin"),
    ("openai-organization", "org-client"),
    ("openai-project", "project-client"),
    ("x-goog-user-project", "project-client"),
    ("te", "trailers"),
    ("keep-alive", "timeout=5"),
    ("proxy-authorization", "Basic Zm9v"),
    ("proxy-connection", "keep-alive"),
    ("x-hop", "for one hop only"),
    ("x-cliproxy-relay", "v1;hop=1"),
    ("api-key", "client-key"),
    ("x-api-key", "client-key"),
];

/// What goes on to every provider.
const ALWAYS_UP: [(&str, &str); 5] = [
    ("accept", "application/json"),
    ("accept-language", "de"),
    ("idempotency-key", "once-1"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "a=b"),
];

/// What goes on to providers of one dialect.
const DIALECTS_OWN: [(&str, &str, Dialect); 5] = [
    ("openai-beta", "assistants=v2", Dialect::OpenAi),
    ("x-title", "My app", Dialect::OpenAi),
    ("anthropic-version", "2023-06-01", Dialect::Anthropic),
    ("anthropic-beta", "tools-1", Dialect::Anthropic),
    ("x-goog-api-client", "genai/1", Dialect::Gemini),
];

/// The header in which each vendor wants its key.
const fn key_header(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi => "authorization",
        Dialect::Anthropic => "x-api-key",
        Dialect::Gemini => "x-goog-api-key",
    }
}

/// All values under a name.
fn values<'r>(received: &'r Received, name: &str) -> Vec<&'r str> {
    received.headers.iter().filter(|(have, _)| have == name).map(|(_, value)| value.as_str()).collect()
}

/// Sends everything that the tables have to a path, and returns what the provider got.
fn sent_on(house: &House, dialect: Dialect, path: &str) -> Received {
    let client = house.gateway.client();
    let mut request = client.post(path).json(&question(dialect, model_of(dialect))).bearer("client-key");
    request = request.header("connection", "keep-alive, x-hop").header("x-goog-api-key", "client-key");
    let own = DIALECTS_OWN.iter().map(|(name, value, _)| (*name, *value));
    for (name, value) in NEVER_UP.into_iter().chain(ALWAYS_UP).chain(own) {
        // Pages of other sites are refused without a key only, and there is one.
        request = request.header(name, value);
    }
    request.send().expect(200);
    house.provider(dialect).transcript().pop().expect("it was asked")
}

#[track_caller]
fn nothing_of_ours(house: &House, dialect: Dialect, received: &Received) {
    for (name, value) in NEVER_UP {
        if name == key_header(dialect) {
            continue;
        }
        assert!(
            values(received, name).is_empty(),
            "{dialect}: {name}: {value} went up: {:?}",
            received.headers
        );
    }
    let provider = house.provider(dialect);
    let keys: Vec<_> = ["authorization", "x-api-key", "x-goog-api-key", "api-key"]
        .into_iter()
        .flat_map(|name| values(received, name).into_iter().map(move |value| (name, value.to_owned())))
        .collect();
    let scheme = if dialect == Dialect::OpenAi { "Bearer " } else { "" };
    assert_eq!(keys, [(key_header(dialect), format!("{scheme}{}", provider.key()))]);
    let everything = format!("{:?} {}", received.headers, received.query);
    assert!(!everything.contains("client-key"), "{everything}");
    assert_eq!(values(received, "host"), [provider.address().to_string()]);
}

#[test]
fn of_a_clients_headers_only_the_dialects_own_reach_a_provider() {
    let house = House::with(KEYS, "");
    for dialect in Dialect::ALL {
        let path = format!("{}?key=client-key", path_of(dialect, model_of(dialect)));
        let received = sent_on(&house, dialect, &path);
        nothing_of_ours(&house, dialect, &received);
        for (name, value) in ALWAYS_UP {
            assert_eq!(values(&received, name), [value], "{dialect}: {name}");
        }
        for (name, value, owner) in DIALECTS_OWN {
            let expected: &[&str] = if owner == dialect { &[value] } else { &[] };
            assert_eq!(values(&received, name), expected, "{dialect}: {name}");
        }
        assert_eq!(values(&received, "content-type"), ["application/json"]);
        assert_eq!(values(&received, "accept-encoding"), ["identity"]);
        assert_eq!(values(&received, "connection"), Vec::<&str>::new());
    }
}

#[test]
fn a_pass_through_request_keeps_the_vendors_headers_and_loses_ours() {
    let house = House::with(KEYS, "");
    for dialect in Dialect::ALL {
        let path = format!(
            "/providers/{}{}?key=client-key",
            provider_of(dialect),
            path_of(dialect, model_of(dialect))
        );
        let received = sent_on(&house, dialect, &path);
        nothing_of_ours(&house, dialect, &received);
        for (name, value, _) in DIALECTS_OWN {
            assert_eq!(values(&received, name), [value], "{dialect}: {name}");
        }
        for (name, value) in ALWAYS_UP {
            assert_eq!(values(&received, name), [value], "{dialect}: {name}");
        }
    }
}

#[test]
fn a_header_that_stands_on_several_lines_goes_up_whole() {
    let house = House::open();
    let client = house.gateway.client();
    let request = ask(&client, Dialect::Anthropic, model_of(Dialect::Anthropic));
    request.header("anthropic-beta", "one").header("anthropic-beta", "two").send().expect(200);
    let received = house.provider(Dialect::Anthropic).transcript().pop().expect("it was asked");
    assert_eq!(values(&received, "anthropic-beta"), ["one", "two"]);
}

#[test]
fn a_header_that_the_client_means_for_one_hop_stays_here() {
    let house = House::open();
    let client = house.gateway.client();
    let request = ask(&client, Dialect::OpenAi, model_of(Dialect::OpenAi));
    request.header("idempotency-key", "1").header("connection", "close, Idempotency-Key").send().expect(200);
    let received = house.provider(Dialect::OpenAi).transcript().pop().expect("it was asked");
    assert_eq!(values(&received, "idempotency-key"), Vec::<&str>::new());
}

#[test]
fn a_providers_configured_headers_are_sent_and_win() {
    let provider = Provider::openai();
    let entry = provider.yaml_with(
        "own",
        &["models: [m]", "headers: {x-team: research, openai-beta: theirs, openai-organization: org-ours}"],
    );
    let gateway = Launch::new(&format!("server:\n  port: {{port}}\n  auth: {{api_keys: [{{key: k, passthrough: [own]}}]}}\nproviders:\n{entry}")).start();
    let client = gateway.client();
    for path in ["/v1/chat/completions", "/providers/own/v1/chat/completions"] {
        let request = client.post(path).json(&question(Dialect::OpenAi, "m")).bearer("k");
        request.header("openai-beta", "mine").header("openai-organization", "org-client").send().expect(200);
        let received = provider.transcript().pop().expect("it was asked");
        assert_eq!(values(&received, "x-team"), ["research"], "{path}");
        assert_eq!(values(&received, "openai-beta"), ["theirs"], "{path}");
        assert_eq!(values(&received, "openai-organization"), ["org-ours"], "{path}");
    }
}

#[test]
fn of_geminis_query_all_but_the_key_goes_up() {
    let house = House::with(KEYS, "");
    let client = house.gateway.client();
    let path =
        format!("/v1beta/models/{}:streamGenerateContent?key=client-key&alt=sse", model_of(Dialect::Gemini));
    let answer = client.post(&path).json(&question(Dialect::Gemini, "")).send().expect(200);
    assert!(answer.header("content-type").is_some_and(|value| value.starts_with("text/event-stream")));
    let received = house.provider(Dialect::Gemini).transcript().pop().expect("it was asked");
    assert_eq!(received.query, "alt=sse");
}

/// An answer with every header that must not come down, and some that must.
const ODD_ANSWER: &str = "HTTP/1.1 200 OK\r\n\
    content-type: application/json\r\n\
    content-length: 2\r\n\
    connection: close, X-Hop\r\n\
    x-hop: for one hop only\r\n\
    keep-alive: timeout=5\r\n\
    proxy-authenticate: Basic\r\n\
    set-cookie: __cf_bm=1; path=/\r\n\
    set-cookie: second=2\r\n\
    alt-svc: h3=\":443\"\r\n\
    strict-transport-security: max-age=1\r\n\
    server: vendor\r\n\
    via: 1.1 vendor\r\n\
    openai-organization: org-ours\r\n\
    openai-project: project-ours\r\n\
    anthropic-organization-id: org-ours\r\n\
    access-control-allow-origin: *\r\n\
    access-control-allow-credentials: true\r\n\
    x-request-id: req_theirs\r\n\
    x-cliproxy-provider: forged\r\n\
    x-cliproxy-error: forged\r\n\
    request-id: req_vendor\r\n\
    x-ratelimit-remaining-requests: 9\r\n\
    openai-processing-ms: 7\r\n\
    x-many: a\r\n\
    x-many: b\r\n\r\n{}";

const NEVER_DOWN: [&str; 13] = [
    "x-hop",
    "keep-alive",
    "proxy-authenticate",
    "set-cookie",
    "alt-svc",
    "strict-transport-security",
    "via",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "x-cliproxy-error",
];

#[test]
fn what_speaks_of_our_account_or_the_vendors_edge_stays_here() {
    for dialect in Dialect::ALL {
        let canned = Canned::answering(ODD_ANSWER);
        let entry = canned.yaml("own", dialect, &["api_key: provider-key", "models: [m]"]);
        let gateway = Gateway::start(&format!(
            "server:\n  port: {{port}}\n  auth: {{api_keys: [{{key: k, passthrough: [own]}}]}}\nproviders:\n{entry}"
        ));
        let path = path_of(dialect, "m");
        for path in [path.clone(), format!("/providers/own{path}")] {
            let answer =
                gateway.client().post(&path).json(&question(dialect, "m")).bearer("k").send().expect(200);
            let all = |name: &str| -> Vec<&str> {
                answer
                    .headers
                    .iter()
                    .filter(|(have, _)| have == name)
                    .map(|(_, value)| value.as_str())
                    .collect()
            };
            for name in NEVER_DOWN {
                assert!(all(name).is_empty(), "{path}: {name} came down: {:?}", answer.headers);
            }
            assert_eq!(all("x-cliproxy-provider"), ["own"], "{path}");
            assert_ne!(all("x-request-id"), ["req_theirs"], "{path}");
            assert_eq!(all("x-request-id").len(), 1, "{path}");
            assert!(!all("server").contains(&"vendor"), "{path}");
            assert!(
                !answer.header("connection").is_some_and(|value| value.to_lowercase().contains("x-hop")),
                "{path}"
            );
            assert_eq!(all("request-id"), ["req_vendor"], "{path}");
            assert_eq!(all("x-ratelimit-remaining-requests"), ["9"], "{path}");
            assert_eq!(all("openai-processing-ms"), ["7"], "{path}");
            assert_eq!(all("x-many"), ["a", "b"], "{path}");
            assert_eq!(
                (answer.text().as_str(), all("content-type")),
                ("{}", vec!["application/json"]),
                "{path}"
            );
        }
        assert_eq!(canned.heads().len(), 2);
    }
}

/// A stream, a plain answer, a refusal of ours, a provider's error, a list.
fn mix(client: &Client, id: &str) -> Vec<Response> {
    let mut streamed = question(Dialect::OpenAi, "gpt-4o");
    streamed["stream"] = true.into();
    let mut bad = question(Dialect::Anthropic, model_of(Dialect::Anthropic));
    bad["max_tokens"] = 0.into();
    let requests = [
        client.post("/v1/chat/completions").json(&streamed),
        ask(client, Dialect::Gemini, model_of(Dialect::Gemini)),
        ask(client, Dialect::OpenAi, "nobody-has-it"),
        client.post("/v1/messages").header("anthropic-version", "2023-06-01").json(&bad),
        client.get("/v1/models"),
        client.get("/nothing"),
        client.get("/providers/first/v1/models"),
    ];
    requests
        .into_iter()
        .map(|request| request.header("x-request-id", id).bearer("client-key").send())
        .collect()
}

#[test]
fn a_sane_request_id_is_kept_in_answer_and_log_and_any_other_is_replaced() {
    let house = House::with(KEYS, "");
    let client = house.gateway.client();
    for answer in mix(&client, "trace-1.a:b_C") {
        assert_eq!(answer.header("x-request-id"), Some("trace-1.a:b_C"), "{}", answer.text());
    }
    let long = "x".repeat(129);
    let mut made = Vec::new();
    for insane in ["a b", "", "{}", "\"quoted\"", "line\tbreak", long.as_str()] {
        for answer in mix(&client, insane) {
            let id = answer.header("x-request-id").expect("an id").to_owned();
            assert!(id.starts_with("req-"), "{insane:?} became {id:?}");
            made.push(id);
        }
    }
    let count = made.len();
    made.sort();
    made.dedup();
    assert_eq!(made.len(), count, "no id is made twice");
    eventually("the client's own and most of those made here are in the log", || {
        let log = house.gateway.output();
        let own = log.contains("\"request_id\":\"trace-1.a:b_C\"");
        (own && made.iter().filter(|id| log.contains(id.as_str())).count() > count / 2).then_some(())
    });
}

#[test]
fn an_answer_says_who_gave_it_and_how_long_that_took() {
    let house = House::with(KEYS, "");
    let answers = mix(&house.gateway.client(), "id");
    for (index, provider, model) in [
        (0, "first", Some("gpt-4o")),
        (1, "third", Some("gemini-2.5-flash")),
        (3, "second", Some("claude-sonnet-4-5")),
        (6, "first", None),
    ] {
        let answer = &answers[index];
        assert_eq!(answer.header("x-cliproxy-provider"), Some(provider), "{index}: {:?}", answer.headers);
        assert_eq!(answer.header("x-cliproxy-model"), model, "{index}");
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"), "{index}");
        assert_eq!(answer.header("x-cliproxy-cache"), Some("bypass"), "{index}");
        let timing = answer.header("server-timing").unwrap_or_default();
        let millis = |name: &str| -> f64 {
            let entry = timing.split(", ").find_map(|entry| entry.strip_prefix(name)?.strip_prefix(";dur="));
            entry.and_then(|millis| millis.parse().ok()).unwrap_or(-1.0)
        };
        assert!(millis("upstream") >= 0.0 && millis("gateway") >= 0.0, "{index}: {timing:?}");
    }
}
