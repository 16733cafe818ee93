//! Connections of HTTP/1.1 to a provider between requests: used again, and closed when they are of no use.

use crate::support::{Gateway, Question, eventually};
use cliproxy::domain::Dialect;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

/// How long a provider waits for what must come, so that no test hangs.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it looks whether something is so at this moment.
const SHORT: Duration = Duration::from_millis(50);

/// A provider whose connections the test accepts, one after the other.
struct ByHand {
    listener: TcpListener,
}

impl ByHand {
    fn new() -> ByHand {
        ByHand { listener: TcpListener::bind("127.0.0.1:0").expect("a free port") }
    }

    fn gateway(&self, pool: &str) -> Gateway {
        let address = self.listener.local_addr().expect("an address");
        Gateway::start(&format!(
            "server: {{host: 127.0.0.1, port: {{port}}, operations: {{connection_pool: {pool}}}}}
providers:
  slow: {{format: openai, base_url: \"http://{address}\", models: [m]}}\n"
        ))
    }

    fn accept(&self) -> TcpStream {
        self.listener.accept().expect("a connection").0
    }
}

/// Has one request asked, and gives what one read of the provider's shows of it.
fn served(gateway: &Gateway, stream: impl FnOnce() -> TcpStream) -> (TcpStream, String) {
    std::thread::scope(|scope| {
        let client = gateway.client();
        let asking = scope.spawn(move || Question::new(Dialect::OpenAi, "m").to(&client).send().expect(200));
        let mut stream = stream();
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        let mut bytes = vec![0; 64 << 10];
        let length = stream.read(&mut bytes).expect("a request");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").expect("answered");
        asking.join().expect("an answer");
        (stream, String::from_utf8_lossy(&bytes[..length]).into_owned())
    })
}

/// Whether the gateway closes the connection in that time.
fn is_closed_within(mut stream: &TcpStream, limit: Duration) -> bool {
    stream.set_read_timeout(Some(limit)).expect("a timeout");
    stream.read(&mut [0]).is_ok_and(|read| read == 0)
}

#[test]
fn a_request_and_its_body_come_together_on_new_connections_and_on_used_ones() {
    let provider = ByHand::new();
    let gateway = provider.gateway("{}");
    let (stream, first) = served(&gateway, || provider.accept());
    let (_, second) = served(&gateway, || stream);
    for request in [first, second] {
        let (head, body) = request.split_once("\r\n\r\n").expect("a whole head");
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        assert_eq!(length, Some(body.len().to_string()), "{request}");
    }
}

#[test]
fn what_the_provider_closes_is_closed_here_too() {
    let provider = ByHand::new();
    let gateway = provider.gateway("{}");
    let (stream, _) = served(&gateway, || provider.accept());
    assert!(!is_closed_within(&stream, SHORT), "it is kept first");
    stream.shutdown(Shutdown::Write).expect("closed on one side");
    assert!(is_closed_within(&stream, TIMEOUT));
}

#[test]
fn what_is_not_used_for_long_is_closed() {
    let provider = ByHand::new();
    let gateway = provider.gateway("{idle_conn_timeout: 1s}");
    let (stream, _) = served(&gateway, || provider.accept());
    assert!(!is_closed_within(&stream, SHORT), "it is kept first");
    assert!(is_closed_within(&stream, TIMEOUT));
}

#[test]
fn no_more_are_kept_than_the_operator_wants() {
    let provider = ByHand::new();
    let gateway = provider.gateway("{max_idle_conns_per_host: 1}");
    // Both are asked for before either is answered.
    let streams: Vec<TcpStream> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..2)
            .map(|_| {
                let client = gateway.client();
                scope.spawn(move || Question::new(Dialect::OpenAi, "m").to(&client).send().expect(200))
            })
            .collect();
        let mut streams = [provider.accept(), provider.accept()];
        for stream in &mut streams {
            let _ = stream.read(&mut vec![0; 64 << 10]).expect("a request");
        }
        for stream in &mut streams {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").expect("answered");
        }
        asking.into_iter().for_each(|asked| drop(asked.join().expect("an answer")));
        streams.into()
    });
    let closed = || streams.iter().filter(|stream| is_closed_within(stream, SHORT)).count();
    eventually("one is closed", || (closed() > 0).then_some(()));
    assert_eq!(closed(), 1, "the other one is kept");
}
