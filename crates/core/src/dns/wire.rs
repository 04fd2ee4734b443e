//! As much of the DNS message format as a relay must read: the header, the question, and where
//! the TTLs of the records are. Everything else is passed on byte for byte.
//!
//! Every read is bounded by the message; nothing here can panic on any input.

use super::Found;
use std::ops::Range;
use thiserror::Error;

/// The bytes of the fixed header.
pub(super) const HEADER: usize = 12;
/// The type of the EDNS pseudo record.
pub(super) const TYPE_OPT: u16 = 41;
/// The type of the record that says how long a name may be remembered not to exist.
pub(super) const TYPE_SOA: u16 = 6;

/// The most bytes a name has, the length of each label and the root included.
pub(super) const MAX_NAME: usize = 255;
/// The most bytes a label has.
pub(super) const MAX_LABEL: u8 = 63;
const CODE_SERVER_FAILURE: u8 = 2;
const CODE_NO_SUCH_NAME: u8 = 3;
const CODE_REFUSED: u8 = 5;
const QR: u8 = 0x80;
const TC: u8 = 0x02;

/// Why a message cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// It ends within something.
    #[error("the message ends before its content does")]
    Short,
    /// A label or a name is longer than allowed, or of a reserved kind.
    #[error("the message holds a name that is not one")]
    Name,
    /// It has not exactly one question.
    #[error("the message has not exactly one question")]
    Questions,
}

/// A reply of an upstream, as far as a relay looks into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    bytes: &'a [u8],
    question: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Reads the header and the question. An error also stands for a message that is no reply.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = header(bytes)?;
        if header[2] & QR == 0 || count(header, 0) != 1 {
            return Err(Malformed::Questions);
        }
        Ok(Self {
            bytes,
            question: question(bytes)?,
        })
    }

    /// The id.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// The response code, without the upper bits of EDNS.
    pub fn code(&self) -> u8 {
        self.bytes[3] & 0x0f
    }

    /// Whether the upstream had more to say than fits.
    pub fn is_truncated(&self) -> bool {
        self.bytes[2] & TC != 0
    }

    /// Whether its records can be read, also behind another header, as far as a reply that was cut
    /// has any.
    pub fn is_whole(&self) -> bool {
        let mut sound = true;
        let read = records(self.bytes, |_, record| {
            sound &= names_of(self.bytes, &record).is_ok_and(|names| {
                let mut names = names.into_iter().flatten();
                names.all(|at| follow(self.bytes, at).is_ok())
            });
        });
        self.is_truncated() || (read.is_ok() && sound)
    }

    /// Whether it gives no answer, be it that the name does not exist or has no such record.
    pub fn is_negative(&self) -> bool {
        count(self.bytes, 1) == 0
    }

    /// What it says of the question; `None` if its server failed, or it cannot be read.
    pub fn found(&self) -> Option<Found> {
        match self.code() {
            _ if !self.is_whole() => None,
            CODE_SERVER_FAILURE | CODE_REFUSED => None,
            _ if !self.is_negative() || self.is_truncated() => Some(Found::Records),
            CODE_NO_SUCH_NAME => Some(Found::NoName),
            _ => Some(Found::NoRecords),
        }
    }

    /// The message as it came.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it repeats this question letter by letter.
    pub fn repeats(&self, question: &[u8]) -> bool {
        self.question == question
    }

    /// Whether it replies to this question, whose letters may be of another case.
    pub fn answers(&self, question: &[u8]) -> bool {
        match (
            self.question.split_last_chunk::<4>(),
            question.split_last_chunk::<4>(),
        ) {
            (Some((name, kind)), Some((asked, asked_kind))) => {
                name.eq_ignore_ascii_case(asked) && kind == asked_kind
            }
            (None, _) | (_, None) => false,
        }
    }
}

/// A resource record, located.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it begins.
    pub(super) start: usize,
    pub(super) kind: u16,
    pub(super) class: u16,
    pub(super) ttl: u32,
    /// Where the four bytes of the TTL are.
    pub(super) ttl_at: usize,
    pub(super) data: Range<usize>,
}

/// The header, if the message has one.
pub(super) fn header(bytes: &[u8]) -> Result<&[u8], Malformed> {
    bytes.get(..HEADER).ok_or(Malformed::Short)
}

/// How many entries section 0 to 3 has. `header` must be a whole header.
pub(super) fn count(header: &[u8], section: usize) -> u16 {
    u16::from_be_bytes([header[4 + 2 * section], header[5 + 2 * section]])
}

/// The bytes of the first question: name, type, class.
pub(super) fn question(bytes: &[u8]) -> Result<&[u8], Malformed> {
    let end = name_end(bytes, HEADER)? + 4;
    bytes.get(HEADER..end).ok_or(Malformed::Short)
}

/// Calls `each` for every record after the questions, with the number of its section.
pub(super) fn records(bytes: &[u8], mut each: impl FnMut(usize, Record)) -> Result<(), Malformed> {
    let header = header(bytes)?;
    if count(header, 0) != 1 {
        return Err(Malformed::Questions);
    }
    let mut at = HEADER + question(bytes)?.len();
    for section in 1..=3 {
        for _ in 0..count(header, section) {
            let record = record(bytes, at)?;
            at = record.data.end;
            each(section, record);
        }
    }
    Ok(())
}

fn record(bytes: &[u8], at: usize) -> Result<Record, Malformed> {
    let fixed = name_end(bytes, at)?;
    let [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1] = *bytes
        .get(fixed..)
        .and_then(|rest| rest.first_chunk())
        .ok_or(Malformed::Short)?;
    let data = fixed + 10..fixed + 10 + usize::from(u16::from_be_bytes([l0, l1]));
    if data.end > bytes.len() {
        return Err(Malformed::Short);
    }
    Ok(Record {
        start: at,
        kind: u16::from_be_bytes([k0, k1]),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes([t0, t1, t2, t3]),
        ttl_at: fixed + 4,
        data,
    })
}

/// Where the name that begins at `at` ends. A pointer ends a name; it is not followed, because
/// no caller needs the name of a record.
pub(super) fn name_end(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let mut end = at;
    loop {
        let length = *bytes.get(end).ok_or(Malformed::Short)?;
        match length {
            0 => return Ok(end + 1),
            1..=63 => end += 1 + usize::from(length),
            64..=191 => return Err(Malformed::Name),
            192..=255 => return Ok(end + 2),
        }
        if end - at >= MAX_NAME {
            return Err(Malformed::Name);
        }
    }
}

/// Where the names of a record begin: its own, and those in its data (RFC 1035, 3.3; RFC 2782, 4034,
/// 6672, 9460).
fn names_of(bytes: &[u8], record: &Record) -> Result<[Option<usize>; 3], Malformed> {
    let data = record.data.start;
    let (first, second) = match record.kind {
        2 | 5 | 12 | 39 | 47 => (Some(data), None), // NS, CNAME, PTR, DNAME, NSEC
        TYPE_SOA => (Some(data), Some(name_end(bytes, data)?)),
        15 | 64 | 65 => (Some(data + 2), None), // MX, SVCB, HTTPS
        33 => (Some(data + 6), None),           // SRV
        24 | 46 => (Some(data + 18), None),     // SIG, RRSIG
        _ => (None, None),
    };
    Ok([Some(record.start), first, second])
}

/// Follows a name to its end. Each pointer leads to what came before (RFC 1035, 4.1.4), and not into
/// the header, which is another one when the message is passed on.
fn follow(bytes: &[u8], name: usize) -> Result<(), Malformed> {
    let (mut at, mut before) = (name, name);
    loop {
        let length = *bytes.get(at).ok_or(Malformed::Short)?;
        match length {
            0 => return Ok(()),
            1..=63 => at += 1 + usize::from(length),
            64..=191 => return Err(Malformed::Name),
            192..=255 => {
                let low = *bytes.get(at + 1).ok_or(Malformed::Short)?;
                at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                if !(HEADER..before).contains(&at) {
                    return Err(Malformed::Name);
                }
                before = at;
            }
        }
    }
}

/// Takes the complete messages off the front of what came in a stream, each behind two bytes of
/// length.
pub fn take_messages(received: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut messages = vec![];
    let mut at = 0;
    while let Some((length, rest)) = received[at..].split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some(message) = rest.get(..length) else {
            break;
        };
        messages.push(message.to_vec());
        at += 2 + length;
    }
    received.drain(..at);
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_not_into_the_header() {
        let reply = |owner: u8| {
            let mut bytes = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x01a\0\0\x01\0\x01".to_vec();
            bytes.extend([
                0xc0, owner, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'b', 0xc0, 12,
            ]);
            bytes.extend([0xc0, 31, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 2]);
            Reply::parse(&bytes).unwrap().is_whole()
        };
        assert!(reply(12));
        assert!(!reply(11), "it is in the header");
        assert!(!reply(31), "it is not before");
    }

    #[test]
    fn messages_are_taken_when_they_are_whole() {
        let mut received = vec![0, 3, b'a', b'b', b'c', 0, 0, 0, 2, b'd'];
        assert_eq!(take_messages(&mut received), [b"abc".to_vec(), vec![]]);
        assert_eq!(received, [0, 2, b'd']);
        received.push(b'e');
        assert_eq!(take_messages(&mut received), [b"de"]);
        assert!(received.is_empty());
    }
}
