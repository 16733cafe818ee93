//! The operations service on a real socket: who is on the other end decides.

use std::sync::Arc;
use std::time::Duration;

use cliproxy::observe::Metrics;
use cliproxy::operations::config::{self, Api};
use cliproxy::operations::{Health, Operations, OperationsApp, ProviderView, View};
use pingora::services::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Idle;

impl View for Idle {
    fn health(&self) -> Health {
        Health { draining: false, uptime: Duration::ZERO, providers_total: 0, providers_available: 0 }
    }

    fn providers(&self) -> Vec<ProviderView> {
        vec![]
    }
}

/// Starts the service, sends it one request, and returns the answer.
async fn ask(request: &str) -> String {
    let metrics = Arc::new(Metrics::new("test").unwrap());
    let settings = (Api::default(), config::Metrics::default());
    let operations = Operations::new(Arc::new(Idle), metrics, &settings.0, &settings.1);
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut service = OperationsApp::service(Arc::new(operations));
    service.add_tcp(&address.to_string());
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(async move { service.start_service(None, shutdown, 1).await });

    let mut client = loop {
        match TcpStream::connect(address).await {
            Ok(client) => break client,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    stop.send(true).unwrap();
    running.await.unwrap();
    answer
}

#[tokio::test]
async fn a_curl_on_this_machine_is_answered() {
    let answer = ask(concat!(
        "GET /v0/operations/providers/status HTTP/1.1\r\nhost: localhost:9090\r\n",
        "user-agent: curl/8.0\r\naccept: */*\r\nconnection: close\r\n\r\n"
    ))
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"providers\":{}}"), "{answer}");
}

#[tokio::test]
async fn a_proxy_on_this_machine_is_not() {
    let answer = ask(concat!(
        "GET /v0/operations/providers/status HTTP/1.1\r\nhost: localhost:9090\r\n",
        "x-forwarded-for: 203.0.113.9\r\nconnection: close\r\n\r\n"
    ))
    .await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn metrics_can_be_scraped() {
    let answer = ask("GET /metrics HTTP/1.1\r\nhost: gateway:9090\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\ncliproxy_build_info{version=\"test\"} 1\n"), "{answer}");
}
