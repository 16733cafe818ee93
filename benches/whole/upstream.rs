//! The mock upstream: cheap and steady, so that what is measured is what is before it.
//!
//! It answers by the model that a request names, in OpenAI's words, and keeps connections alive. It checks
//! nothing else; the product's own simulator is the one that is strict.

use crate::message::Model;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Events of a long stream, its last words aside.
pub const EVENTS: u64 = 500;
/// The pause between two of them: long enough that a proxy has passed one on before the next comes.
const PAUSE: Duration = Duration::from_millis(5);
/// How much of a request's body is looked at for its model.
const LOOKED_AT: usize = 4 << 10;

const PLAIN: &str = concat!(
    r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench-plain","choices":"#,
    r#"[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog."},"#,
    r#""finish_reason":"stop"}],"usage":{"prompt_tokens":512,"completion_tokens":12,"total_tokens":524}}"#,
);
const EVENT: &str = concat!(
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench-stream","#,
    r#""choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#,
    "\n\n",
);
const FINISH: &str = concat!(
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench-stream","#,
    r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench-stream","#,
    r#""choices":[],"usage":{"prompt_tokens":512,"completion_tokens":500,"total_tokens":1012}}"#,
    "\n\ndata: [DONE]\n\n",
);
const STREAM_HEADER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// Every answer, ready to be written.
struct Answers {
    plain: Vec<u8>,
    event: Vec<u8>,
    finish: Vec<u8>,
}

impl Answers {
    fn new() -> Answers {
        let length = PLAIN.len();
        let plain = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{PLAIN}"
        );
        let chunk = |data: &str| format!("{:x}\r\n{data}\r\n", data.len());
        Answers {
            plain: plain.into_bytes(),
            event: chunk(EVENT).into_bytes(),
            finish: format!("{}0\r\n\r\n", chunk(FINISH)).into_bytes(),
        }
    }
}

/// Serves for ever.
///
/// # Errors
/// When it can't listen.
pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
    let mut accepted = 0;
    loop {
        let (stream, _) = listener.accept().await?;
        accepted += 1;
        // Whoever breaks off is the load's business.
        tokio::spawn(async move { converse(stream, answers, accepted).await });
    }
}

/// Answers the requests of a connection; `accepted` is its number.
async fn converse(mut stream: TcpStream, answers: &Answers, accepted: u32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    while let Some(model) = read_request(&mut stream, &mut buffer).await? {
        match model {
            Model::Plain => stream.write_all(&answers.plain).await?,
            Model::Stream => {
                stream.write_all(STREAM_HEADER).await?;
                // Streams that begin together don't go on in step.
                tokio::time::sleep(PAUSE * (accepted % 5) / 5).await;
                for _ in 0..EVENTS {
                    stream.write_all(&answers.event).await?;
                    tokio::time::sleep(PAUSE).await;
                }
                stream.write_all(&answers.finish).await?;
            }
            Model::Short => {
                // Three small writes, as a vendor does: what waits for an acknowledgement shows.
                stream.write_all(STREAM_HEADER).await?;
                stream.write_all(&answers.event).await?;
                stream.write_all(&answers.finish).await?;
            }
            Model::Open => {
                stream.write_all(STREAM_HEADER).await?;
                stream.write_all(&answers.event).await?;
                drop(std::mem::take(&mut buffer));
                // Until the other side goes.
                return stream.read_u8().await.map(drop);
            }
        }
    }
    Ok(())
}

/// Reads a request to its end, and says which model it names; `None` at the connection's end.
async fn read_request(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<Model>> {
    let mut kept: Vec<u8> = Vec::new();
    let mut header_bytes = 0;
    let mut left = None;
    loop {
        let read = stream.read(buffer).await?;
        if read == 0 {
            return Ok(None);
        }
        if left.is_none() || kept.len() < header_bytes + LOOKED_AT {
            kept.extend_from_slice(&buffer[..read]);
        }
        left = match left {
            Some(left) => Some(left - read as i64),
            None => {
                let length = header_and_length(&kept)?;
                length.map(|(header, length)| {
                    header_bytes = header;
                    header as i64 + length - kept.len() as i64
                })
            }
        };
        if left.is_some_and(|left| left <= 0) {
            let body = &kept[header_bytes..];
            let named = |model: &Model| memchr::memmem::find(body, model.name().as_bytes()).is_some();
            return Ok(Model::ALL.into_iter().find(named));
        }
    }
}

/// How long a request's header and its body are; `None` if the header isn't complete.
fn header_and_length(head: &[u8]) -> io::Result<Option<(usize, i64)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(header) = request.parse(head).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|length| std::str::from_utf8(length.value).ok()?.parse().ok());
    Ok(Some((header, length.unwrap_or_default())))
}
