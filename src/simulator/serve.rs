//! The server's life: accepts connections, reads requests, carries out what was planned for them.

use super::echo;
use super::options::Behaviour;
use super::reply::{Content, Piece, Reply};
use super::scenarios::asked_early;
use super::script::{After, WRITE_SIZE};
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
        let _ = converse(Connection::new(stream, asked_early), &service, number).await;
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
        let plan = service.plan(&request, now);
        let (status, after) =
            match carry_out(&mut connection, &request, plan, service.options.token_interval).await {
                Ok(done) => done,
                Err(gone) => {
                    end(Ending::ClientClosed(Instant::now()));
                    return Err(gone);
                }
            };
        end(match after {
            After::Break | After::Reset => Ending::Broken(Instant::now()),
            _ => Ending::Answered(status, Instant::now()),
        });
        match after {
            After::Keep if request.stopped_by.is_none() => {}
            // What is left of this request is no next one.
            After::Keep | After::Drain => {
                connection.drain().await;
                return Ok(());
            }
            After::CloseAtNext => return connection.next_bytes().await,
            After::Reset => {
                connection.reset();
                return Ok(());
            }
            After::Close | After::Break => return Ok(()),
        }
    }
}

/// Does what was planned. Says which status was answered, and what is to become of the connection.
async fn carry_out(
    connection: &mut Connection,
    request: &Request,
    plan: Plan,
    token_interval: Duration,
) -> Result<(u16, After), Gone> {
    match plan {
        Plan::Reply(wait, reply) => {
            let status = reply.status;
            let keep = deliver(connection, request, reply, wait, token_interval).await?;
            Ok((status, if keep { After::Keep } else { After::Close }))
        }
        Plan::Script(script) => {
            let status = script.status;
            Ok((status, script.play(connection, request).await?))
        }
        Plan::Ignore => Err(connection.outlast_client().await),
        Plan::Reset => Ok((0, After::Reset)),
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
    match reply.content {
        Content::Whole(body) => connection.write_whole(request, &head, &body).await,
        Content::Pieces(pieces) => deliver_pieces(connection, request, &head, &pieces, token_interval).await,
        Content::WebSocket => {
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
    token_interval: Duration,
) -> Result<bool, Gone> {
    let mut body = connection.begin_pieces(request, head);
    let mut has_sent_token = false;
    for piece in pieces {
        if piece.is_token && has_sent_token && !token_interval.is_zero() {
            body.pause(token_interval).await?;
        }
        has_sent_token |= piece.is_token;
        body.add(&piece.bytes);
        if body.pending() >= WRITE_SIZE {
            body.flush().await?;
        }
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
