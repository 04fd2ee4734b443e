//! Which ports are ours: what is known without asking the kernel.

use crate::binding::Binding;
use sealane_core::model::{PortMapping, Protocol};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The reserved ports, each with the addresses it is reserved on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(BTreeMap<(Protocol, u16), Vec<Binding>>);

impl Table {
    /// The address of a reservation that stands in the way.
    pub(crate) fn clash(&self, protocol: Protocol, port: u16, wanted: Binding) -> Option<IpAddr> {
        let present = self.0.get(&(protocol, port))?;
        present.iter().find_map(|binding| binding.clash(wanted))
    }

    /// Adds a reservation.
    pub(crate) fn add(&mut self, protocol: Protocol, port: u16, binding: Binding) {
        self.0.entry((protocol, port)).or_default().push(binding);
    }

    /// Adds the reservations of mappings.
    pub(crate) fn add_all(&mut self, mappings: &[PortMapping]) {
        for mapping in mappings {
            let binding = Binding::of(mapping.host_ip);
            self.add(mapping.protocol, mapping.host_port, binding);
        }
    }

    /// Takes the reservations of mappings out.
    pub(crate) fn remove_all(&mut self, mappings: &[PortMapping]) {
        for mapping in mappings {
            let binding = Binding::of(mapping.host_ip);
            self.remove(mapping.protocol, mapping.host_port, binding);
        }
    }

    /// Takes a reservation out.
    pub(crate) fn remove(&mut self, protocol: Protocol, port: u16, binding: Binding) {
        let Some(present) = self.0.get_mut(&(protocol, port)) else {
            return;
        };
        if let Some(index) = present.iter().position(|other| *other == binding) {
            present.swap_remove(index);
        }
        if present.is_empty() {
            self.0.remove(&(protocol, port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(text: &str) -> Binding {
        Binding::of(if text == "*" {
            None
        } else {
            Some(text.parse().unwrap())
        })
    }

    fn clash(present: &str, wanted: &str) -> Option<String> {
        let mut table = Table::default();
        table.add(Protocol::Tcp, 80, binding(present));
        table
            .clash(Protocol::Tcp, 80, binding(wanted))
            .map(|address| address.to_string())
    }

    #[test]
    fn an_unspecified_address_covers_all_of_its_family() {
        for (present, wanted, named) in [
            ("*", "*", "0.0.0.0"),
            ("*", "::1", "::"),
            ("*", "10.0.0.1", "0.0.0.0"),
            ("0.0.0.0", "*", "0.0.0.0"),
            ("::", "*", "::"),
            ("127.0.0.1", "*", "127.0.0.1"),
            ("127.0.0.1", "0.0.0.0", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(
                clash(present, wanted).as_deref(),
                Some(named),
                "{wanted} after {present}"
            );
        }
    }

    #[test]
    fn other_addresses_and_families_do_not_meet() {
        for (present, wanted) in [
            ("0.0.0.0", "::"),
            ("0.0.0.0", "::1"),
            ("127.0.0.1", "127.0.0.2"),
            ("::1", "0.0.0.0"),
        ] {
            assert_eq!(clash(present, wanted), None, "{wanted} after {present}");
        }
    }

    #[test]
    fn protocols_and_ports_are_apart_and_a_removed_reservation_is_gone() {
        let mut table = Table::default();
        table.add(Protocol::Tcp, 80, Binding::Any);
        assert!(table.clash(Protocol::Udp, 80, Binding::Any).is_none());
        assert!(table.clash(Protocol::Tcp, 81, Binding::Any).is_none());
        table.remove(Protocol::Tcp, 80, Binding::Any);
        assert!(table.clash(Protocol::Tcp, 80, Binding::Any).is_none());
    }
}
