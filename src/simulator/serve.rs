//! The server's life: accepts connections, reads requests, carries out what was planned for them.

use super::echo;
use super::options::Behaviour;
use super::reply::{Content, Piece, Reply};
use super::service::{Plan, Service};
use super::transcript::Ending;
use super::wire::{Connection, Gone, Head, ReadError, Request};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// How long accepting rests after it failed, as it does when file descriptors run out.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// Bytes of pieces without a pace that are put together before they are written.
const WRITE_SIZE: usize = 64 << 10;

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, service: Arc<Service>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => open(stream, &service),
            Err(error) => {
                log::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

fn open(stream: TcpStream, service: &Arc<Service>) {
    let number = service.accepted_connections.fetch_add(1, Ordering::Relaxed) + 1;
    if service.behaviour() == Behaviour::Refuse {
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("cannot set TCP_NODELAY: {error}");
    }
    let open = Open::new(service);
    tokio::spawn(async move {
        let service = Arc::clone(&open.0);
        // Nothing is lost with the error: the connection broke, which the transcript says.
        let _ = converse(Connection::new(stream), &service, number).await;
        drop(open);
    });
}

/// Counts a connection for as long as it lives.
struct Open(Arc<Service>);

impl Open {
    fn new(service: &Arc<Service>) -> Open {
        service.open_connections.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(service))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers requests on a connection until either side ends it.
async fn converse(mut connection: Connection, service: &Service, number: u64) -> Result<(), Gone> {
    loop {
        let request = match connection.next_request().await {
            Ok(request) => request,
            Err(ReadError::Closed) => return Ok(()),
            Err(ReadError::Torn(request)) => {
                if service.options.records {
                    let now = Instant::now();
                    service.transcript.add(&request, number, Ending::ClientClosed(now), now);
                }
                return Ok(());
            }
            Err(ReadError::Refused(status, why)) => return turn_down(&mut connection, status, why).await,
        };
        let now = Instant::now();
        let place =
            service.options.records.then(|| service.transcript.add(&request, number, Ending::Open, now));
        let end = |ending| {
            if let Some(place) = place {
                service.transcript.end(place, ending);
            }
        };
        let (wait, reply) = match service.plan(&request, now) {
            Plan::Reply(wait, reply) => (wait, reply),
            Plan::Reset => {
                end(Ending::Broken(Instant::now()));
                connection.reset();
                return Ok(());
            }
        };
        let (status, is_cut) = (reply.status, reply.cut.is_some());
        match deliver(&mut connection, &request, reply, wait, service.options.token_interval).await {
            Ok(_) if is_cut => {
                end(Ending::Broken(Instant::now()));
                return Ok(());
            }
            Ok(keep) => {
                end(Ending::Answered(status, Instant::now()));
                if !keep {
                    return Ok(());
                }
            }
            Err(gone) => {
                end(Ending::ClientClosed(Instant::now()));
                return Err(gone);
            }
        }
    }
}

/// Answers what could not be read, and hangs up.
async fn turn_down(connection: &mut Connection, status: u16, why: &str) -> Result<(), Gone> {
    let headers = [("content-type", "text/plain".to_owned())];
    let closing = Request::default();
    connection.write_whole(&closing, &Head { status, headers: &headers }, why.as_bytes()).await?;
    connection.drain().await;
    Ok(())
}

/// Writes an answer. Says whether the connection can be used again.
async fn deliver(
    connection: &mut Connection,
    request: &Request,
    reply: Reply,
    wait: Duration,
    token_interval: Duration,
) -> Result<bool, Gone> {
    connection.pause(wait).await?;
    let head = Head { status: reply.status, headers: &reply.headers };
    match (reply.content, reply.cut) {
        (Content::Whole(body), None) => connection.write_whole(request, &head, &body).await,
        (Content::Whole(body), Some(cut)) => connection.write_torn(&head, &body, cut).await,
        (Content::Pieces(pieces), cut) => {
            deliver_pieces(connection, request, &head, &pieces, cut, token_interval).await
        }
        (Content::WebSocket, _) => {
            connection.write_head(&head).await?;
            echo::echo_frames(connection).await?;
            Ok(false)
        }
    }
}

async fn deliver_pieces(
    connection: &mut Connection,
    request: &Request,
    head: &Head<'_>,
    pieces: &[Piece],
    cut: Option<usize>,
    token_interval: Duration,
) -> Result<bool, Gone> {
    let mut body = connection.begin_pieces(request, head).await?;
    let mut has_sent_token = false;
    for piece in &pieces[..cut.unwrap_or(pieces.len())] {
        if piece.is_token && has_sent_token && !token_interval.is_zero() {
            body.pause(token_interval).await?;
        }
        has_sent_token |= piece.is_token;
        body.add(&piece.bytes);
        if body.pending() >= WRITE_SIZE {
            body.flush().await?;
        }
    }
    if cut.is_some() {
        body.flush().await?;
        return Ok(false);
    }
    body.end().await
}

/// Binds, so that an address in use is told at once. Must be called inside the runtime.
pub(super) fn bind(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    // As many as a load test opens at once.
    const BACKLOG: u32 = 4_096;
    let socket = match address {
        std::net::SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        std::net::SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
