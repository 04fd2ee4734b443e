//! Queries: what a client asks, read strictly and once.

use super::wire::{self, HEADER, Malformed, TYPE_OPT};

const MIN_UDP_PAYLOAD: u16 = 512;

/// A query with exactly one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    bytes: &'a [u8],
    question: &'a [u8],
    edns: Option<Edns>,
    is_plain: bool,
}

/// What the EDNS record of a query says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest reply the client takes over UDP.
    pub udp_payload: u16,
    /// The version of EDNS; there is only 0.
    pub version: u8,
    /// Whether DNSSEC records are wanted.
    pub dnssec_ok: bool,
}

impl<'a> Query<'a> {
    /// Reads a message that is known to be a query.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (mut edns, mut others) = (None, 0);
        wire::records(bytes, |section, record| {
            others += usize::from(record.kind != TYPE_OPT || section != 3 || edns.is_some());
            if record.kind == TYPE_OPT {
                let [_, version, flags, _] = record.ttl.to_be_bytes();
                let dnssec_ok = flags & 0x80 != 0;
                edns = Some(Edns {
                    udp_payload: record.class,
                    version,
                    dnssec_ok,
                });
            }
        })?;
        let question = wire::question(bytes)?;
        // A pointer in the first name of a message could only point into the header.
        if labels(question).is_none() {
            return Err(Malformed::Name);
        }
        Ok(Self {
            bytes,
            question,
            edns,
            is_plain: others == 0,
        })
    }

    /// The message as the client sent it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The question as the client wrote it: name, type, class.
    pub fn question(&self) -> &'a [u8] {
        self.question
    }

    /// The id the client chose.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// The type asked for.
    pub fn kind(&self) -> u16 {
        self.tail(4)
    }

    /// The class asked for.
    pub fn class(&self) -> u16 {
        self.tail(2)
    }

    /// What its EDNS record says, if it has one.
    pub fn edns(&self) -> Option<Edns> {
        self.edns
    }

    /// Whether it is a question and, at most, an EDNS record; there is no signature, for one.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether the client wants to know if data is authentic.
    pub fn authentic_data(&self) -> bool {
        self.bytes[3] & 0x20 != 0
    }

    /// Whether the client wants unchecked data.
    pub fn checking_disabled(&self) -> bool {
        self.bytes[3] & 0x10 != 0
    }

    /// Whether the client wants the question pursued elsewhere.
    pub fn recursion_desired(&self) -> bool {
        self.bytes[2] & 0x01 != 0
    }

    /// The largest reply the client takes over UDP.
    pub fn udp_payload(&self) -> usize {
        usize::from(
            self.edns
                .map_or(0, |edns| edns.udp_payload)
                .max(MIN_UDP_PAYLOAD),
        )
    }

    /// The name in lower case with dots between its labels; `None` if a label has a dot in it or
    /// is no text, which no name of ours has.
    pub fn name(&self) -> Option<String> {
        let mut name = String::with_capacity(self.question.len());
        for label in labels(self.question)? {
            if label.contains(&b'.') {
                return None;
            }
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(std::str::from_utf8(label).ok()?);
        }
        name.make_ascii_lowercase();
        Some(name)
    }

    /// The labels of the name.
    pub fn labels(&self) -> impl Iterator<Item = &'a [u8]> {
        labels(self.question).into_iter().flatten()
    }

    /// Whether the name is a single label.
    pub fn is_single_label(&self) -> bool {
        let first = usize::from(self.question[0]);
        first > 0 && self.question.get(first + 1) == Some(&0)
    }

    fn tail(&self, from_end: usize) -> u16 {
        let at = self.question.len() - from_end;
        u16::from_be_bytes([self.question[at], self.question[at + 1]])
    }
}

/// The labels of the name that `question` begins with; `None` if it does not end in the root.
fn labels(question: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let name = &question[..question.len().checked_sub(4)?];
    let mut at = 0;
    while let Some(length @ 1..=63) = name.get(at) {
        at += 1 + usize::from(*length);
    }
    if name.get(at) != Some(&0) || at + 1 != name.len() {
        return None;
    }
    let mut rest = name;
    Some(std::iter::from_fn(move || {
        let (length, after) = rest.split_first().filter(|(length, _)| **length > 0)?;
        let (label, next) = after.split_at_checked(usize::from(*length))?;
        rest = next;
        Some(label)
    }))
}

/// Whether there is a header at all, and it is that of a query and not of a reply.
pub(super) fn is_query(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER && bytes[2] & 0x80 == 0
}

/// The operation a message asks for; 0 is a query. `bytes` must have a header.
pub(super) fn opcode(bytes: &[u8]) -> u8 {
    bytes[2] >> 3 & 0x0f
}
