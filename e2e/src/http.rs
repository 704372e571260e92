//! As much of HTTP as the tests need: one request over plain HTTP to a server on loopback. HTTP/1.0
//! lets the end of the connection end the body, so there is no framing to get wrong.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;

/// For a server on loopback that is up: more than the 34 s that the API server allows a request.
const TIMEOUT: Duration = Duration::from_secs(40);

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// Its status code.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: String,
    head: String,
}

impl Response {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The response to a request for an `http://` address.
///
/// # Errors
/// When the server cannot be reached, or what it answers is not HTTP.
pub(crate) fn send(method: &str, url: &str, content_type: &str, body: &str) -> Result<Response> {
    send_as(None, method, url, content_type, body)
}

/// The same by a `user:password`, where there is one.
///
/// # Errors
/// As of [`send`].
pub(crate) fn send_as(
    authorization: Option<&str>,
    method: &str,
    url: &str,
    content_type: &str,
    body: &str,
) -> Result<Response> {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .with_context(|| format!("not a plain HTTP address with a path: {url}"))?;
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let credentials = match authorization {
        Some(user_and_password) => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(user_and_password);
            format!("Authorization: Basic {encoded}\r\n")
        }
        None => String::new(),
    };
    write!(
        stream,
        "{method} /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: {content_type}\r\n\
         {credentials}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse(&text).with_context(|| format!("{method} {url}: not an HTTP response: {text}"))
}

fn parse(text: &str) -> Option<Response> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, body: body.to_owned(), head: head.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_header_and_body() {
        let response = parse("HTTP/1.0 201 Created\r\nLocation: /a\r\n\r\nbody").unwrap();
        assert_eq!((response.status, response.body.as_str()), (201, "body"));
        assert_eq!((response.header("location"), response.header("etag")), (Some("/a"), None));
    }

    #[test]
    fn refuses_what_is_not_http() {
        for text in ["", "HTTP/1.0 200 OK\r\n", "SSH-2.0 200\r\n\r\n", "HTTP/1.0 OK\r\n\r\n"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
