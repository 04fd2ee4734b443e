//! Choosing what is tried.

use crate::model::Model;
use crate::operation::{Asked, FOREIGN_PORT, Operation, SHAPES};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

const SANDBOXES: u64 = 5;

/// xorshift64*: enough to choose operations, and the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Seeds that follow one another are far apart, and none is zero.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    /// An operation, which may have to be refused.
    pub(crate) fn operation(&mut self, model: &Model) -> Operation {
        let (n, s) = (self.below(SHAPES.len() as u64), self.below(SANDBOXES));
        match self.below(20) {
            0..=2 => Operation::Create(n),
            3 => Operation::Remove(n),
            4 if self.one_in(4) => Operation::RemoveDefault,
            4 if self.one_in(3) => Operation::Prune,
            4 | 5 => Operation::Update(
                n,
                [1_200, 1_400, 1_500][self.below(3) as usize],
                self.one_in(3),
            ),
            6..=9 => {
                let more = self.below(SHAPES.len() as u64);
                let networks = if self.one_in(6) {
                    vec![]
                } else {
                    vec![n, more]
                };
                let asked: Asked = networks.into_iter().map(|n| (n, self.asked(n))).collect();
                Operation::Make(s, asked, self.ports())
            }
            10 => Operation::Drop(s),
            11 | 12 => Operation::Connect(s, n, self.asked(n)),
            13 | 14 => self.disconnect(model, s, n),
            15 | 16 => Operation::Publish(s, self.ports()),
            17 => Operation::Rename(s),
            18 => {
                let holder = [None, Some(format!("c{s}")), Some(format!("d{s}"))];
                let holder = holder[self.below(3) as usize].clone();
                Operation::Reserve(n, IpAddr::V4(self.address(n)), holder)
            }
            _ => self.release(model, n),
        }
    }

    /// Ports of a sandbox whose last way out goes are its container's to take back, so that they are
    /// no matter of this operation.
    fn disconnect(&mut self, model: &Model, s: u64, n: u64) -> Operation {
        let silent = |own: &crate::model::Sandbox| {
            let mut left = own.clone();
            left.joined.remove(&n);
            own.ports.is_empty() || left.leads_out()
        };
        match model.sandboxes.get(&s).is_none_or(silent) {
            true => Operation::Disconnect(s, n),
            false => Operation::Publish(s, BTreeSet::new()),
        }
    }

    fn release(&mut self, model: &Model, n: u64) -> Operation {
        let reserved = model.networks.get(&n).map(|net| &net.reserved);
        let first = reserved.and_then(|reserved| reserved.keys().next().copied());
        let other = IpAddr::V4(self.address(n));
        Operation::Release(n, first.filter(|_| !self.one_in(3)).unwrap_or(other))
    }

    fn ports(&mut self) -> BTreeSet<u16> {
        let count = self.below(3);
        let mut port = || match self.one_in(12) {
            true => FOREIGN_PORT,
            false => 9_000 + self.below(3) as u16,
        };
        (0..count).map(|_| port()).collect()
    }

    fn asked(&mut self, n: u64) -> Option<Ipv4Addr> {
        self.one_in(4).then(|| self.address(n))
    }

    /// The gateway, or one of the first addresses after it.
    fn address(&mut self, n: u64) -> Ipv4Addr {
        let IpAddr::V4(gateway) = SHAPES[n as usize].gateway() else {
            panic!("the first subnet is of IPv4");
        };
        Ipv4Addr::from_bits(gateway.to_bits() + self.below(5) as u32)
    }
}
