//! The mock upstream: cheap and steady, so that what is measured is what is before it.
//!
//! It answers by the model that a request names, in the words of the API that is called, and keeps connections alive. It checks
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

/// What a vendor says.
struct Words {
    plain: &'static str,
    /// What a stream begins with, if anything.
    start: &'static str,
    event: &'static str,
    finish: &'static str,
}

const OPENAI: Words = Words {
    plain: concat!(
        r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench-plain","choices":"#,
        r#"[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog."},"#,
        r#""finish_reason":"stop"}],"usage":{"prompt_tokens":512,"completion_tokens":12,"total_tokens":524}}"#,
    ),
    start: "",
    event: concat!(
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench-stream","#,
        r#""choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}"#,
        "\n\n",
    ),
    finish: concat!(
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench-stream","#,
        r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "\n\n",
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench-stream","#,
        r#""choices":[],"usage":{"prompt_tokens":512,"completion_tokens":500,"total_tokens":1012}}"#,
        "\n\ndata: [DONE]\n\n",
    ),
};

const ANTHROPIC: Words = Words {
    plain: concat!(
        r#"{"id":"msg_1","type":"message","role":"assistant","model":"bench-plain-anthropic","content":"#,
        r#"[{"type":"text","text":"The quick brown fox jumps over the lazy dog."}],"stop_reason":"end_turn","#,
        r#""stop_sequence":null,"usage":{"input_tokens":512,"output_tokens":12}}"#,
    ),
    start: concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","#,
        r#""model":"bench-stream-anthropic","content":[],"stop_reason":null,"stop_sequence":null,"#,
        r#""usage":{"input_tokens":512,"output_tokens":1}}}"#,
        "\n\nevent: content_block_start\n",
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        "\n\n",
    ),
    event: concat!(
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}"#,
        "\n\n",
    ),
    finish: concat!(
        "event: content_block_stop\n",
        r#"data: {"type":"content_block_stop","index":0}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"#,
        r#""usage":{"output_tokens":500}}"#,
        "\n\nevent: message_stop\n",
        r#"data: {"type":"message_stop"}"#,
        "\n\n",
    ),
};

const GEMINI: Words = Words {
    plain: concat!(
        r#"{"candidates":[{"content":{"parts":[{"text":"The quick brown fox jumps over the lazy dog."}],"#,
        r#""role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":512,"#,
        r#""candidatesTokenCount":12,"totalTokenCount":524},"modelVersion":"bench-plain-gemini","#,
        r#""responseId":"r1"}"#,
    ),
    start: "",
    event: concat!(
        r#"data: {"candidates":[{"content":{"parts":[{"text":" word"}],"role":"model"},"index":0}],"#,
        r#""usageMetadata":{"promptTokenCount":512,"totalTokenCount":512},"modelVersion":"#,
        r#""bench-stream-gemini","responseId":"r1"}"#,
        "\n\n",
    ),
    finish: concat!(
        r#"data: {"candidates":[{"content":{"parts":[{"text":" word"}],"role":"model"},"finishReason":"STOP","#,
        r#""index":0}],"usageMetadata":{"promptTokenCount":512,"candidatesTokenCount":500,"#,
        r#""totalTokenCount":1012},"modelVersion":"bench-stream-gemini","responseId":"r1"}"#,
        "\n\n",
    ),
};

const STREAM_HEADER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// Every answer of a dialect, ready to be written.
struct Answers {
    plain: Vec<u8>,
    start: Vec<u8>,
    event: Vec<u8>,
    finish: Vec<u8>,
}

impl Answers {
    fn new(words: &Words) -> Answers {
        let (plain, length) = (words.plain, words.plain.len());
        let plain = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{plain}"
        );
        let chunk = |data: &str| format!("{:x}\r\n{data}\r\n", data.len());
        // An empty chunk would be the last.
        let start = if words.start.is_empty() { String::new() } else { chunk(words.start) };
        Answers {
            plain: plain.into_bytes(),
            start: [STREAM_HEADER, start.as_bytes()].concat(),
            event: chunk(words.event).into_bytes(),
            finish: format!("{}0\r\n\r\n", chunk(words.finish)).into_bytes(),
        }
    }
}

/// The answers of each dialect.
struct Vendors {
    openai: Answers,
    anthropic: Answers,
    gemini: Answers,
}

impl Vendors {
    /// Those of the dialect that a request's header names by its path.
    fn asked(&self, header: &[u8]) -> &Answers {
        let path = header.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if memchr::memmem::find(path, b"enerateContent").is_some() {
            &self.gemini
        } else if memchr::memmem::find(path, b"/messages").is_some() {
            &self.anthropic
        } else {
            &self.openai
        }
    }
}

/// Serves for ever.
///
/// # Errors
/// When it can't listen.
pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let vendors: &'static Vendors = Box::leak(Box::new(Vendors {
        openai: Answers::new(&OPENAI),
        anthropic: Answers::new(&ANTHROPIC),
        gemini: Answers::new(&GEMINI),
    }));
    let mut accepted = 0;
    loop {
        let (stream, _) = listener.accept().await?;
        accepted += 1;
        // Whoever breaks off is the load's business.
        tokio::spawn(async move { converse(stream, vendors, accepted).await });
    }
}

/// Answers the requests of a connection; `accepted` is its number.
async fn converse(mut stream: TcpStream, vendors: &Vendors, accepted: u32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    while let Some((model, answers)) = read_request(&mut stream, &mut buffer, vendors).await? {
        match model {
            Model::Plain => stream.write_all(&answers.plain).await?,
            Model::Stream => {
                stream.write_all(&answers.start).await?;
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
                stream.write_all(&answers.start).await?;
                stream.write_all(&answers.event).await?;
                stream.write_all(&answers.finish).await?;
            }
            Model::Open => {
                stream.write_all(&answers.start).await?;
                stream.write_all(&answers.event).await?;
                drop(std::mem::take(&mut buffer));
                // Until the other side goes.
                return stream.read_u8().await.map(drop);
            }
        }
    }
    Ok(())
}

/// Reads a request to its end, and says which model it names and how it is answered; `None` at the connection's end.
async fn read_request<'v>(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    vendors: &'v Vendors,
) -> io::Result<Option<(Model, &'v Answers)>> {
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
            // Gemini's clients name it in the path.
            let named = |model: &Model| memchr::memmem::find(&kept, model.name().as_bytes()).is_some();
            let model = Model::ALL.into_iter().find(named);
            return Ok(model.map(|model| (model, vendors.asked(&kept))));
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
