//! Streams that share a connection to a provider: what one of them does is no other's business.

use crate::support::{
    Authority, BodyEnd, Gateway, H2Provider, H2Settings, Incoming, Metrics, Question, assert_whole,
    eventually, status,
};
use cliproxy::domain::Dialect;
use cliproxy::simulator::ANSWER;
use futures_util::FutureExt;
use h2::Reason;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

fn question() -> Question {
    Question::new(Dialect::OpenAi, "m")
}

/// The rest of a stream, and how it ended.
fn rest(mut answer: Incoming, question: &Question) -> (String, Option<BodyEnd>) {
    let words = question.words_of(&answer.events());
    (words, answer.end())
}

#[test]
fn streams_that_are_open_together_share_a_connection() {
    const TOGETHER: usize = 50;
    let (authority, all) = (Authority::new(), Arc::new(Semaphore::new(0)));
    let go = Arc::clone(&all);
    let provider = H2Provider::start(&authority, move |mut asked| {
        let go = Arc::clone(&go);
        async move {
            let mut stream = asked.stream();
            stream.words(0..1).await;
            let _ = go.acquire().await;
            stream.words(1..60).await;
            stream.end();
        }
        .boxed()
    });
    let gateway = provider.gateway(&authority);
    let question = question().streamed();
    let clients: Vec<_> = (0..TOGETHER).map(|_| gateway.client()).collect();
    let answers: Vec<_> = clients.iter().map(|client| question.to(client).open()).collect();
    all.add_permits(100);
    for answer in answers {
        assert_eq!(rest(answer, &question), (ANSWER.to_owned(), Some(BodyEnd::Clean)));
    }
    assert_eq!((provider.connections(), provider.requests()), (1, TOGETHER));
}

#[test]
fn a_body_that_the_provider_does_not_take_yet_stalls_its_own_stream_only() {
    let (authority, go) = (Authority::new(), Arc::new(Semaphore::new(0)));
    let wait = Arc::clone(&go);
    let settings = H2Settings { window: Some(16 << 10), ..H2Settings::default() };
    let provider = H2Provider::start_with(&authority, settings, move |asked| {
        let wait = Arc::clone(&wait);
        async move {
            if asked.number == 2 {
                let _ = wait.acquire().await;
            }
            asked.answer().await;
        }
        .boxed()
    });
    let gateway = provider.gateway(&authority);
    let large = question().of_size(1 << 20).streamed();
    // The window is known from now on.
    assert_whole(&question(), &question().ask(&gateway));
    std::thread::scope(|scope| {
        let stalled = scope.spawn(|| large.ask(&gateway));
        eventually("the large one is asked", || (provider.requests() == 2).then_some(()));
        for _ in 0..5 {
            assert_whole(&question(), &question().ask(&gateway));
        }
        go.add_permits(1);
        assert_whole(&large, &stalled.join().expect("an answer"));
    });
    assert_eq!(provider.connections(), 1);
}

#[test]
fn a_client_that_does_not_read_does_not_stop_what_shares_its_connection() {
    const FLOOD: usize = 20;
    let authority = Authority::new();
    let provider = H2Provider::start(&authority, |mut asked| {
        async move {
            if asked.number > FLOOD {
                return asked.answer().await;
            }
            let mut stream = asked.stream();
            let filler = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(60 << 10));
            loop {
                stream.body.reserve_capacity(filler.len());
                match std::future::poll_fn(|context| stream.body.poll_capacity(context)).await {
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                }
                if stream.body.send_data(filler.clone().into(), false).is_err() {
                    return;
                }
            }
        }
        .boxed()
    });
    let gateway = provider.gateway(&authority);
    let question = question().streamed();
    let clients: Vec<_> = (0..FLOOD).map(|_| gateway.client()).collect();
    let unread: Vec<_> = clients.iter().map(|client| question.to(client).open()).collect();
    for _ in 0..5 {
        assert_whole(&question, &question.ask(&gateway));
    }
    assert_eq!(provider.connections(), 1);
    drop(unread);
}

#[test]
fn a_client_that_vanishes_takes_its_stream_back_within_100_ms_and_leaves_the_connection() {
    let (authority, back) = (Authority::new(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&back);
    let answers_header = Arc::new(AtomicBool::new(true));
    let with_header = Arc::clone(&answers_header);
    let provider = H2Provider::start(&authority, move |mut asked| {
        let (counted, with_header) = (Arc::clone(&counted), with_header.load(Ordering::SeqCst));
        async move {
            let reason = if with_header {
                let mut stream = asked.stream();
                stream.words(0..1).await;
                stream.taken_back().await
            } else {
                asked.taken_back().await
            };
            assert_eq!(reason, Reason::CANCEL);
            counted.fetch_add(1, Ordering::SeqCst);
        }
        .boxed()
    });
    let pool = "server:\n  port: {port}\n  operations: {connection_pool: {idle_conn_timeout: 500ms}}\n";
    let gateway =
        Gateway::start(&format!("{pool}providers:\n{}", provider.yaml("only", &authority, &["models: [m]"])));
    let question = question().streamed();
    let mut requests = 0;
    for with_header in [true, false] {
        answers_header.store(with_header, Ordering::SeqCst);
        let mut best = Duration::MAX;
        for _ in 0..5 {
            requests += 1;
            let vanished = if with_header {
                let client = gateway.client();
                let mut answer = question.to(&client).open();
                answer.next_event().expect("the first word");
                let now = Instant::now();
                answer.vanish();
                now
            } else {
                let body = question.body().to_string();
                let head = format!(
                    "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
                    question.path(),
                    body.len()
                );
                let raw = gateway.client().raw(head + &body);
                eventually("the provider is asked", || (provider.requests() == requests).then_some(()));
                drop(raw);
                Instant::now()
            };
            eventually("the stream is taken back", || {
                (back.load(Ordering::SeqCst) == requests).then_some(())
            });
            best = best.min(vanished.elapsed());
            if best <= Duration::from_millis(100) {
                break;
            }
        }
        assert!(best <= Duration::from_millis(100), "{with_header}: {best:?}");
    }
    assert_eq!(provider.connections(), 1, "the connection was used on");
    Metrics::after(&gateway, u32::try_from(requests).expect("a few"));
    let figures = status(&gateway, "only");
    assert_eq!(
        (&figures["errors_last_minute"], &figures["last_error"]),
        (&0.into(), &serde_json::Value::Null)
    );
    eventually("an idle connection is closed", || (provider.open_connections() == 0).then_some(()));
}

#[test]
fn a_provider_that_takes_few_streams_gets_more_connections() {
    let (authority, all) = (Authority::new(), Arc::new(Semaphore::new(0)));
    let go = Arc::clone(&all);
    let settings = H2Settings { max_streams: Some(2), ..H2Settings::default() };
    let provider = H2Provider::start_with(&authority, settings, move |mut asked| {
        let go = Arc::clone(&go);
        async move {
            let mut stream = asked.stream();
            stream.words(0..1).await;
            let _ = go.acquire().await;
            stream.words(1..60).await;
            stream.end();
        }
        .boxed()
    });
    let gateway = provider.gateway(&authority);
    let question = question().streamed();
    let clients: Vec<_> = (0..6).map(|_| gateway.client()).collect();
    let answers: Vec<_> = clients.iter().map(|client| question.to(client).open()).collect();
    all.add_permits(100);
    for answer in answers {
        assert_eq!(rest(answer, &question), (ANSWER.to_owned(), Some(BodyEnd::Clean)));
    }
    assert_eq!((provider.connections(), provider.requests()), (3, 6));
}
