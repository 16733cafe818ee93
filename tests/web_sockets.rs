//! WebSockets under `/providers/{name}/…`: frames both ways, for as long as either side likes.

use crate::support::{Gateway, Metrics, Provider, Raw, eventually};
use cliproxy::domain::Dialect;
use cliproxy::simulator::{Options, Received};
use std::io::Read;
use std::time::{Duration, Instant};

/// A provider that sends every frame back.
fn echo() -> Provider {
    Provider::with(Dialect::OpenAi, Options { echo_prefix: "/".to_owned(), ..Options::default() })
}

/// A gateway before it, with further keys under `server:` and further lines for the provider.
fn gateway(provider: &Provider, server: &str, lines: &[&str]) -> Gateway {
    let auth = "{api_keys: [{key: opener, passthrough: [own]}]}";
    let entry = provider.yaml_with("own", lines);
    Gateway::start(&format!("server:\n  port: {{port}}\n  auth: {auth}\n{server}providers:\n{entry}"))
}

fn last(provider: &Provider) -> Received {
    provider.transcript().pop().expect("it was asked")
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A frame as a client sends it, masked with zeros (RFC 6455, section 5.2).
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// The next frame of the server: opcode and payload.
fn read_frame(raw: &mut Raw) -> (u8, Vec<u8>) {
    let mut take = |count: usize| {
        let mut bytes = vec![0; count];
        raw.stream.read_exact(&mut bytes).expect("a frame");
        bytes
    };
    let head = take(2);
    let length = match head[1] {
        126 => u64::from(u16::from_be_bytes(take(2).try_into().expect("two bytes"))),
        127 => u64::from_be_bytes(take(8).try_into().expect("eight bytes")),
        short => u64::from(short),
    };
    let payload = take(usize::try_from(length).expect("a length"));
    (head[0] & 0x0f, payload)
}

const HANDSHAKE: &str = "GET /providers/own/v1/realtime?model=m HTTP/1.1\r\nhost: localhost\r\n\
    authorization: Bearer opener\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Opens a WebSocket and has a ping answered.
fn open_web_socket(gateway: &Gateway) -> Raw {
    let mut raw = gateway.client().raw(HANDSHAKE);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        raw.stream.read_exact(&mut byte).expect("a header");
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(head.contains("upgrade: websocket"), "{head}");
    raw.write(frame(PING, b""));
    let mut pong = [0; 2];
    raw.stream.read_exact(&mut pong).expect("a pong");
    assert_eq!(pong, [0x8a, 0]);
    raw
}

#[test]
fn a_provider_may_agree_at_once() {
    let provider = echo();
    let gateway = gateway(&provider, "", &[]);
    for _ in 0..300 {
        open_web_socket(&gateway);
    }
}

#[test]
fn a_thousand_frames_go_both_ways_in_order_and_the_close_code_is_kept() {
    let provider = echo();
    let gateway = gateway(&provider, "", &[]);
    let mut raw = open_web_socket(&gateway);
    for index in 0..500 {
        let text = format!("frame {index}");
        raw.write(frame(TEXT, text.as_bytes()));
        assert_eq!(read_frame(&mut raw), (TEXT, text.into_bytes()));
    }
    let all: Vec<u8> = (0..500_u16).flat_map(|index| frame(BINARY, &index.to_be_bytes())).collect();
    raw.write(all);
    for index in 0..500_u16 {
        assert_eq!(read_frame(&mut raw), (BINARY, index.to_be_bytes().to_vec()));
    }
    let close = [&4001_u16.to_be_bytes()[..], b"enough"].concat();
    raw.write(frame(CLOSE, &close));
    assert_eq!(read_frame(&mut raw), (CLOSE, close));
    assert_eq!(raw.stream.read(&mut [0]).expect("a close"), 0);
    let received = last(&provider);
    assert_eq!(received.header("authorization"), Some(format!("Bearer {}", provider.key()).as_str()));
    assert_eq!((received.path.as_str(), received.query.as_str()), ("/v1/realtime", "model=m"));
}

#[test]
fn a_frame_of_a_megabyte_arrives_whole() {
    let provider = echo();
    let gateway = gateway(&provider, "", &[]);
    let mut raw = open_web_socket(&gateway);
    let payload: Vec<u8> = (0..1_u32 << 20).map(|index| (index % 251) as u8).collect();
    raw.write(frame(BINARY, &payload));
    let (opcode, echoed) = read_frame(&mut raw);
    assert!(opcode == BINARY && echoed == payload, "{opcode}, {} bytes", echoed.len());
}

#[test]
fn silence_is_borne_past_the_deadlines_of_requests() {
    let provider = echo();
    let timeouts = "timeouts: {connect: 200ms, header: 200ms, first_token: 200ms, idle: 200ms}";
    let gateway =
        gateway(&provider, "  limits: {header_timeout: 200ms, write_timeout: 200ms}\n", &[timeouts]);
    let mut raw = open_web_socket(&gateway);
    raw.stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket");
    assert!(raw.stream.read(&mut [0]).is_err(), "neither bytes nor a close");
    raw.stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    raw.write(frame(TEXT, b"still there"));
    assert_eq!(read_frame(&mut raw), (TEXT, b"still there".to_vec()));
}

#[test]
fn an_open_web_socket_outlives_sigterm_until_it_is_closed() {
    let provider = echo();
    let mut gateway = gateway(&provider, "", &[]);
    let mut raw = open_web_socket(&gateway);
    gateway.signal("TERM");
    eventually("it drains", || gateway.output().contains("stopping").then_some(()));
    eventually("nothing is accepted any more", || {
        std::net::TcpStream::connect(("127.0.0.1", gateway.port())).is_err().then_some(())
    });
    for index in 0..20 {
        let text = format!("frame {index}");
        raw.write(frame(TEXT, text.as_bytes()));
        assert_eq!(read_frame(&mut raw), (TEXT, text.into_bytes()));
    }
    raw.write(frame(CLOSE, &1000_u16.to_be_bytes()));
    assert_eq!(read_frame(&mut raw), (CLOSE, 1000_u16.to_be_bytes().to_vec()));
    assert_eq!(gateway.wait_exit(Duration::from_secs(5)), 0);
}

#[test]
fn a_web_socket_that_is_never_closed_is_cut_when_the_grace_period_ends() {
    let provider = echo();
    let mut gateway = gateway(&provider, "  grace_period: 500ms\n", &[]);
    let mut raw = open_web_socket(&gateway);
    let told = Instant::now();
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(Duration::from_secs(5)), 0);
    assert!(told.elapsed() >= Duration::from_millis(500));
    assert!(matches!(raw.stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_client_that_vanishes_closes_the_providers_side() {
    let provider = echo();
    let gateway = gateway(&provider, "", &[]);
    let raw = open_web_socket(&gateway);
    drop(raw);
    eventually("nothing is in flight", || {
        (Metrics::read(&gateway).of("cliproxy_in_flight_requests") == 0.0).then_some(())
    });
}
