//! A small HTTP client over a unix socket: what the `docker` CLI cannot send, a test must.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer encoding.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON; as a string where it is something else, null where it is empty.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends one request on a connection of its own and reads the whole answer.
///
/// # Errors
/// When the daemon is not there or hangs up in the middle.
pub fn request(socket: &Path, method: &str, path: &str, body: &[u8]) -> io::Result<Reply> {
    let mut stream = Stream::open(socket, method, path, body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(Reply {
        body: bytes,
        ..stream.reply
    })
}

/// An answer that is read as it comes: events, logs, a wait.
#[derive(Debug)]
pub struct Stream {
    /// The answer's head; its body is empty.
    pub reply: Reply,
    body: Body,
}

impl Stream {
    /// Sends a request and reads the head of the answer.
    ///
    /// # Errors
    /// When the daemon is not there or answers no HTTP.
    pub fn open(socket: &Path, method: &str, path: &str, body: &[u8]) -> io::Result<Self> {
        let mut connection = UnixStream::connect(socket)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        // A refusal may come, and the connection close, before the body has been taken.
        let sent = send(&mut connection, method, path, body);
        let mut reader = BufReader::new(connection);
        let reply = match read_head(&mut reader) {
            Ok(reply) => reply,
            Err(error) => return Err(sent.err().unwrap_or(error)),
        };
        let chunked = reply
            .header("transfer-encoding")
            .is_some_and(|value| value == "chunked");
        let length = reply
            .header("content-length")
            .and_then(|value| value.parse().ok());
        let body = match (chunked, length) {
            _ if method == "HEAD" || matches!(reply.status, 204 | 304) => {
                Body::Sized(reader.take(0))
            }
            (true, _) => Body::Chunked {
                reader,
                left: 0,
                ended: false,
            },
            (false, Some(length)) => Body::Sized(reader.take(length)),
            (false, None) => Body::Sized(reader.take(u64::MAX)),
        };
        Ok(Self { reply, body })
    }

    /// Ends reads that take longer than `limit` with an error.
    ///
    /// # Errors
    /// When the system refuses that.
    pub fn set_patience(&self, limit: Duration) -> io::Result<()> {
        let connection = match &self.body {
            Body::Sized(reader) => reader.get_ref().get_ref(),
            Body::Chunked { reader, .. } => reader.get_ref(),
        };
        connection.set_read_timeout(Some(limit))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.body {
            Body::Sized(reader) => reader.read(buffer),
            Body::Chunked {
                reader,
                left,
                ended,
            } => read_chunked(reader, left, ended, buffer),
        }
    }
}

#[derive(Debug)]
enum Body {
    Sized(io::Take<BufReader<UnixStream>>),
    Chunked {
        reader: BufReader<UnixStream>,
        left: usize,
        ended: bool,
    },
}

fn send(connection: &mut UnixStream, method: &str, path: &str, body: &[u8]) -> io::Result<()> {
    let kind = if method == "POST" {
        "content-type: application/json\r\n"
    } else {
        ""
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: sealane\r\nconnection: close\r\n{kind}content-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Reply> {
    let status_line = read_line(reader)?;
    let code = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok());
    let status = code.ok_or_else(|| io::Error::other(format!("no HTTP: {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(Reply {
                status,
                headers,
                body: Vec::new(),
            });
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunked(
    reader: &mut impl BufRead,
    left: &mut usize,
    ended: &mut bool,
    buffer: &mut [u8],
) -> io::Result<usize> {
    if *left == 0 && !*ended {
        let size = read_line(reader)?;
        let digits = size.split(';').next().unwrap_or_default();
        *left = usize::from_str_radix(digits.trim(), 16).map_err(io::Error::other)?;
        *ended = *left == 0;
    }
    if *ended {
        return Ok(0);
    }
    let wanted = buffer.len().min(*left);
    let count = reader.read(&mut buffer[..wanted])?;
    *left -= count;
    if *left == 0 {
        read_line(reader)?; // the line end after a chunk
    }
    if count == 0 {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(count)
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}
