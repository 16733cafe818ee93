//! Providers that speak HTTP/2 over TLS: one connection for all, and what becomes of the streams on it.

use crate::support::{
    Asked, Authority, BodyEnd, Gateway, H2Provider, H2Settings, Provider, Question, assert_whole, eventually,
    serve, status,
};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use h2::Reason;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A gateway before that provider, and another for when it fails.
fn with_second(entry: &str, second: &Provider) -> Gateway {
    Gateway::start(&format!(
        "providers:\n{entry}{}",
        second.yaml_with("second", &["priority: 2", "models: [m]"])
    ))
}

const MODELS: &[&str] = &["models: [m]", "priority: 1"];

fn question() -> Question {
    Question::new(Dialect::OpenAi, "m")
}

#[test]
fn both_kinds_of_answer_come_over_one_connection_with_the_authority_of_the_provider() {
    let authority = Authority::new();
    let provider = H2Provider::start(&authority, |mut asked| {
        async move {
            let uri = asked.request.uri();
            assert_eq!(uri.authority().map(http::uri::Authority::host), Some("127.0.0.1"));
            assert!(asked.request.headers().get("host").is_none());
            assert_eq!(asked.request.headers()["authorization"], "Bearer the-key");
            if asked.wants_stream().await {
                let mut stream = asked.stream();
                stream.words(0..60).await;
                stream.end_with_trailers();
            } else {
                asked.plain(200, r#"{"choices":[{"message":{"content":"hi"}}]}"#);
            }
        }
        .boxed()
    });
    let gateway = provider.gateway(&authority);
    for _ in 0..3 {
        assert_whole(&question().streamed(), &question().streamed().ask(&gateway));
        assert_eq!(question().words(&question().ask(&gateway)), "hi");
    }
    assert_eq!((provider.connections(), provider.requests()), (1, 6));
}

#[test]
fn a_provider_that_says_goodbye_ends_what_it_has_and_gets_a_new_connection() {
    let (authority, go) = (Authority::new(), Arc::new(Semaphore::new(0)));
    let wait = Arc::clone(&go);
    let provider = H2Provider::start(&authority, move |mut asked| {
        let wait = Arc::clone(&wait);
        async move {
            if asked.number > 1 {
                return asked.answer().await;
            }
            let mut stream = asked.stream();
            stream.words(0..20).await;
            asked.go_away();
            let _ = wait.acquire().await;
            stream.words(20..60).await;
            stream.end();
        }
        .boxed()
    });
    let gateway = provider.gateway(&authority);
    let question = question().streamed();
    let client = gateway.client();
    let mut first = question.to(&client).open();
    let mut events = vec![first.next_event().expect("the first word")];
    eventually("a new connection", || {
        assert_whole(&question, &question.ask(&gateway));
        (provider.connections() == 2).then_some(())
    });
    go.add_permits(1);
    events.extend(first.events());
    assert_eq!((question.words_of(&events).as_str(), first.end()), (ANSWER, Some(BodyEnd::Clean)));
}

/// A provider that treats its n-th request so, and serves all others.
fn treating<F>(authority: &Authority, number: usize, treat: F) -> H2Provider
where
    F: Fn(Asked) -> BoxFuture<'static, ()> + Send + Sync + 'static,
{
    H2Provider::start(
        authority,
        move |asked| if asked.number == number { treat(asked) } else { serve(asked) },
    )
}

#[test]
fn a_stream_that_was_refused_unseen_is_asked_again_for_free_on_a_fresh_connection() {
    let authority = Authority::new();
    for number in [1, 2] {
        let provider =
            treating(&authority, number, |asked| async { asked.reset(Reason::REFUSED_STREAM) }.boxed());
        let gateway = provider.gateway(&authority);
        for _ in 0..number {
            let answer = question().ask(&gateway);
            assert_whole(&question(), &answer);
            assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
        }
        assert_eq!((provider.connections(), provider.requests()), (2, number + 1));
        assert_eq!(status(&gateway, "only")["errors_last_minute"], 0);
    }
}

#[test]
fn a_pooled_connection_that_dies_as_it_is_used_costs_nothing() {
    let authority = Authority::new();
    let ways: [fn(&Asked); 2] = [|asked| asked.hang_up(), |asked| asked.abort(Reason::NO_ERROR)];
    for path in ["/v1/chat/completions", "/providers/own/v1/chat/completions"] {
        for way in ways {
            let provider = treating(&authority, 2, move |asked| {
                async move {
                    way(&asked);
                    std::future::pending::<()>().await;
                }
                .boxed()
            });
            let gateway = Gateway::start(&format!(
                "server:\n  port: {{port}}\n  auth: {{api_keys: [{{key: opener, passthrough: [own]}}]}}\nproviders:\n{}",
                provider.yaml("own", &authority, MODELS)
            ));
            for _ in 0..3 {
                let client = gateway.client();
                let answer = client.post(path).bearer("opener").json(&question().body()).send();
                assert_whole(&question(), &answer);
                assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
            }
            // The stock loop leaves its fresh connection where nobody finds it again.
            let connections = if path.starts_with("/providers") { 3 } else { 2 };
            assert_eq!(provider.connections(), connections, "{path}");
        }
    }
}

#[test]
fn a_provider_that_refuses_every_stream_is_given_up() {
    let (authority, second) = (Authority::new(), Provider::openai());
    let provider =
        H2Provider::start(&authority, |asked| async { asked.reset(Reason::REFUSED_STREAM) }.boxed());
    let gateway = with_second(&provider.yaml("only", &authority, MODELS), &second);
    let answer = question().ask(&gateway);
    assert_whole(&question(), &answer);
    assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
    assert_eq!(provider.requests(), 2, "one of them for free");
}

#[test]
fn a_stream_that_breaks_before_its_header_moves_on_to_the_next_provider() {
    let (authority, second) = (Authority::new(), Provider::openai());
    let ways: [fn(Asked); 3] = [
        |asked| asked.reset(Reason::INTERNAL_ERROR),
        |asked| asked.reset(Reason::PROTOCOL_ERROR),
        |asked| asked.abort(Reason::INTERNAL_ERROR),
    ];
    for way in ways {
        let provider = H2Provider::start(&authority, move |asked| async move { way(asked) }.boxed());
        let gateway = with_second(&provider.yaml("only", &authority, MODELS), &second);
        for question in Question::both_ways(Dialect::OpenAi, "m") {
            let answer = question.ask(&gateway);
            assert_whole(&question, &answer);
            assert_eq!(answer.header("x-cliproxy-provider"), Some("second"));
        }
    }
}

#[test]
fn a_stream_that_breaks_after_content_is_a_broken_answer_and_others_go_on() {
    let authority = Authority::new();
    let ways: [fn(&Asked) -> Option<Reason>; 4] = [
        |_| Some(Reason::INTERNAL_ERROR),
        |_| Some(Reason::NO_ERROR),
        |asked| {
            asked.abort(Reason::ENHANCE_YOUR_CALM);
            None
        },
        |asked| {
            asked.hang_up();
            None
        },
    ];
    for way in ways {
        let provider = treating(&authority, 1, move |mut asked| {
            async move {
                let mut stream = asked.stream();
                stream.words(0..40).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                match way(&asked) {
                    Some(reason) => stream.reset(reason),
                    None => std::future::pending().await,
                }
            }
            .boxed()
        });
        let gateway = provider.gateway(&authority);
        let question = question().streamed();
        let client = gateway.client();
        let answer = question.to(&client).send();
        assert_eq!((answer.status, answer.end), (200, BodyEnd::Aborted), "{}", answer.text());
        assert_eq!(question.words(&answer).split(' ').count(), 40);
        assert!(answer.text().contains("broke off"), "{}", answer.text());
        assert_whole(&question, &question.ask(&gateway));
    }
}

#[test]
fn a_provider_that_wants_http_1_1_after_all_gets_it() {
    let authority = Authority::new();
    let provider =
        H2Provider::start(&authority, |asked| async { asked.reset(Reason::HTTP_1_1_REQUIRED) }.boxed());
    let gateway = provider.gateway(&authority);
    for _ in 0..3 {
        let answer = question().ask(&gateway);
        assert_whole(&question(), &answer);
        assert_eq!(answer.header("x-cliproxy-attempts"), Some("1"));
    }
    assert_eq!((provider.requests(), provider.heads().len()), (1, 3));
}

#[test]
fn a_provider_without_http_2_is_spoken_to_in_http_1_1() {
    let authority = Authority::new();
    let tls = authority.server(&authority.issue(&["127.0.0.1"]), &["http/1.1"]);
    let provider = H2Provider::over(tls, H2Settings::default(), serve);
    let gateway = provider.gateway(&authority);
    for _ in 0..3 {
        assert_whole(&question(), &question().ask(&gateway));
    }
    assert_eq!((provider.connections(), provider.requests(), provider.heads().len()), (1, 0, 3));
}

#[test]
fn a_provider_that_answers_before_it_has_read_is_heard() {
    let authority = Authority::new();
    let settings = H2Settings { window: Some(16 << 10), ..H2Settings::default() };
    let error = r#"{"error":{"message":"too much","type":"invalid_request_error","param":null,"code":null}}"#;
    for resets in [false, true] {
        let provider = H2Provider::start_with(&authority, settings.clone(), move |mut asked| {
            async move {
                asked.plain(422, error);
                if !resets {
                    // Neither reads on nor says that it won't.
                    asked.taken_back().await;
                }
            }
            .boxed()
        });
        let gateway = provider.gateway(&authority);
        let asked_at = Instant::now();
        let answer = question().of_size(1 << 20).ask(&gateway);
        assert_eq!((answer.status, answer.text().as_str()), (422, error));
        assert!(asked_at.elapsed() < Duration::from_secs(5), "{:?}", asked_at.elapsed());
    }
}
