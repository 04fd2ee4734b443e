//! How many transactions nftables has seen in a namespace: the kernel's own count.

use crate::error::{BenchError, Result};
use crate::namespace::Namespace;
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};

/// `NFNL_SUBSYS_NFTABLES` and `NFT_MSG_GETGEN`.
const GET_GENERATION: u16 = 10 << 8 | 16;
const REQUEST: u16 = 1;
/// The headers of netlink and of netfilter.
const HEADERS: usize = 16 + 4;
/// `NFTA_GEN_ID`, the first attribute of the answer.
const GENERATION: u16 = 1;

/// The number of the generation, which every transaction makes one greater.
pub(crate) fn generation(namespace: &Namespace) -> Result<u64> {
    let answer = namespace.visit(|| {
        let socket = Socket::new(NETLINK_NETFILTER)?;
        socket.send(&request(), 0)?;
        let mut answer = Vec::with_capacity(4096);
        socket.recv(&mut answer, 0).map(|_| answer)
    })?;
    let unknown = || BenchError::Unexpected("nftables does not tell its generation".into());
    read(&answer).ok_or_else(unknown)
}

fn request() -> [u8; HEADERS] {
    let mut bytes = [0; HEADERS];
    bytes[..4].copy_from_slice(&(HEADERS as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&GET_GENERATION.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    bytes
}

fn read(answer: &[u8]) -> Option<u64> {
    let attribute = answer.get(HEADERS..HEADERS + 8)?;
    let kind = u16::from_ne_bytes([attribute[2], attribute[3]]);
    let value: [u8; 4] = attribute[4..8].try_into().ok()?;
    (kind == GENERATION).then(|| u32::from_be_bytes(value).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_transaction_is_counted_once_whatever_is_in_it() {
        let namespace = Namespace::new().unwrap();
        let count = || generation(&namespace).unwrap();
        let nft = |rules: &'static str| {
            let ran = namespace.visit(|| Command::new("nft").arg(rules).status());
            assert!(ran.unwrap().success(), "nft {rules}");
        };
        let before = count();
        nft("add table inet a; add table inet b; add chain inet a c");
        assert_eq!(count() - before, 1);
        nft("delete table inet b");
        assert_eq!(count() - before, 2);
    }
}
