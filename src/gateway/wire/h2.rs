//! A request and the header of its answer on HTTP/2, where one can listen while one speaks.

use super::Outgoing;
use http::header::HOST;
use http::{Uri, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::v2::client::Http2Session;
use pingora::protocols::http::v2::write_body;
use pingora::{Error, ErrorType, OrErr};

/// Writes the request and reads the header of the answer, listening while it writes.
pub(super) async fn converse(session: &mut Http2Session, outgoing: Outgoing) -> pingora::Result<bool> {
    session.write_request_header(Box::new(as_h2(*outgoing.header)?), false)?;
    let Some(mut writer) = session.take_request_body_writer() else {
        return Error::e_explain(ErrorType::InternalError, "a request without a way to send its body");
    };
    let written = write_body(&mut writer, outgoing.body, true, session.write_timeout);
    tokio::pin!(written);
    let sent = tokio::select! {
        biased;
        sent = &mut written => Some(sent),
        answered = session.read_response_header() => { answered?; None }
    };
    match sent {
        Some(Ok(())) => session.read_response_header().await?,
        // As with HTTP/1.1: there may be an answer. If not, how the stream ended says more than that it did.
        Some(Err(error)) => {
            let answered = session.read_response_header().await;
            answered.map_err(|read| if *read.etype() == ErrorType::ReadTimedout { error } else { read })?;
        }
        // One who has begun to answer well still wants the rest, unless it says that it doesn't.
        None if session.response_header().is_some_and(|header| header.status.is_success()) => {
            let _ = written.await;
        }
        None => {}
    }
    if session.response_header().is_none() {
        return Error::e_explain(ErrorType::InvalidHTTPHeader, "no header");
    }
    // That the answer was early says something about the connection of HTTP/1.1 only.
    Ok(false)
}

/// The header as HTTP/2 has it: the authority where HTTP/1.1 has its `Host`.
fn as_h2(mut header: RequestHeader) -> pingora::Result<RequestHeader> {
    let host = header.remove_header(&HOST);
    let path = header.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = Uri::builder().scheme("https").path_and_query(path);
    let uri = uri.authority(host.as_ref().map_or(&b""[..], |host| host.as_bytes())).build();
    header.set_uri(uri.or_err(ErrorType::InvalidHTTPHeader, "a path or host that HTTP/2 can't carry")?);
    header.set_version(Version::HTTP_2);
    Ok(header)
}
