//! A client of the Engine API that keeps its connection: what is measured is the daemon.

use crate::error::{BenchError, Result, failed};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Beyond this a daemon hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// The newest version that the peer, 20.10, has too.
const VERSION: &str = "/v1.41";

/// A connection to a daemon.
#[derive(Debug)]
pub(crate) struct Client {
    connection: BufReader<UnixStream>,
}

/// The head of an answer.
#[derive(Debug, Default)]
struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
}

impl Client {
    /// Connects to a daemon's socket.
    pub(crate) fn connect(socket: &Path) -> io::Result<Self> {
        let connection = UnixStream::connect(socket)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            connection: BufReader::new(connection),
        })
    }

    /// Sends a request and reads the whole answer; refusals are errors.
    pub(crate) fn call(&mut self, method: &'static str, path: &str, body: &Value) -> Result<Value> {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.send(method, path, &bytes)
    }

    /// The same, with any bytes for a body.
    pub(crate) fn send(&mut self, method: &'static str, path: &str, body: &[u8]) -> Result<Value> {
        let (status, answer) = self
            .exchange(method, path, body)
            .map_err(failed(format!("{method} {path}")))?;
        let value = serde_json::from_slice(&answer);
        let value: Value =
            value.unwrap_or_else(|_| String::from_utf8_lossy(&answer).into_owned().into());
        if status < 400 {
            return Ok(value);
        }
        let message = value["message"]
            .as_str()
            .map_or(value.to_string(), str::to_owned);
        Err(BenchError::Api {
            method,
            path: path.into(),
            status,
            message,
        })
    }

    fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let mut request = format!(
            "{method} {VERSION}{path} HTTP/1.1\r\nhost: bench\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.connection.get_mut().write_all(&request)?;
        let head = self.read_head()?;
        let body = match head {
            Head {
                status: 204 | 304, ..
            } => Vec::new(),
            Head { chunked: true, .. } => self.read_chunks()?,
            Head { length, .. } => self.read_exactly(length.unwrap_or_default())?,
        };
        Ok((head.status, body))
    }

    fn read_head(&mut self) -> io::Result<Head> {
        let line = self.read_line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut head = Head {
            status: status.ok_or_else(|| io::Error::other(format!("no HTTP: {line:?}")))?,
            ..Head::default()
        };
        loop {
            let line = self.read_line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok(head);
            }
            if let Some(length) = line.strip_prefix("content-length:") {
                head.length = length.trim().parse().ok();
            }
            head.chunked |= line.starts_with("transfer-encoding:") && line.ends_with("chunked");
        }
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.read_line()?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            body.extend(self.read_exactly(size)?);
            self.read_line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body)?;
        Ok(body)
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.connection.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}
