//! What the kernel answers to a request: done, or an errno with a sentence.

use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NlasIterator};
use std::fmt;
use std::io;

/// The length of `struct nlmsghdr`, which an answer repeats from the request.
const HEADER: usize = 16;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// An errno with the sentence the kernel gave for it.
#[derive(Debug)]
struct Explained {
    errno: i32,
    sentence: String,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            io::Error::from_raw_os_error(self.errno),
            self.sentence
        )
    }
}

impl std::error::Error for Explained {}

/// The errno of an error of this crate, also where it carries the kernel's sentence and
/// [`io::Error::raw_os_error`] therefore has none.
pub fn errno(error: &io::Error) -> Option<i32> {
    let explained = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Explained>());
    explained
        .map(|explained| explained.errno)
        .or_else(|| error.raw_os_error())
}

/// An errno in our own words.
pub(crate) fn explained(errno: i32, sentence: impl Into<String>) -> io::Error {
    let kind = io::Error::from_raw_os_error(errno).kind();
    io::Error::new(
        kind,
        Explained {
            errno,
            sentence: sentence.into(),
        },
    )
}

/// Reads the payload of an NLMSG_ERROR message: `None` is an acknowledgement.
pub(crate) fn decode(flags: u16, payload: &[u8]) -> Option<io::Error> {
    let Some((code, rest)) = payload.split_first_chunk() else {
        return Some(io::Error::new(
            io::ErrorKind::InvalidData,
            "a truncated netlink answer",
        ));
    };
    let code = i32::from_ne_bytes(*code);
    if code == 0 {
        return None;
    }
    let errno = code.saturating_neg();
    Some(match sentence(flags, rest) {
        Some(sentence) => explained(errno, sentence),
        None => io::Error::from_raw_os_error(errno),
    })
}

/// The kernel's sentence, behind the header of the request, or behind all of the request.
fn sentence(flags: u16, rest: &[u8]) -> Option<String> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let request = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
    let skip = if flags & NLM_F_CAPPED == 0 {
        request.next_multiple_of(4)
    } else {
        HEADER
    };
    let mut attributes = NlasIterator::new(rest.get(skip..)?).filter_map(Result::ok);
    let text = attributes.find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)?;
    Some(
        String::from_utf8_lossy(text.value())
            .trim_end_matches('\0')
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_errno_survives_the_sentence() {
        let error = explained(libc::EEXIST, "there already");
        assert_eq!(errno(&error), Some(libc::EEXIST));
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().ends_with(": there already"), "{error}");
    }

    proptest! {
        #[test]
        fn no_answer_is_fatal(flags: u16, payload: Vec<u8>) {
            decode(flags, &payload);
        }
    }
}
