//! The host's firewall as text: what `nft` would list, or how iptables would say it.
//!
//! Reads the live elements of our table; the view for iptables is read-only and for people and
//! tools that know no other words.

use super::{PUBLISH_SETS, PUBLISHED_ONLY, ROUTED, host_table_of, set};
use crate::model::{IpFamily, Policy, Protocol};
use crate::nft::{Data, Datum, Listing, Verdict};
use crate::plan::{Key, Object};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;

/// Live elements, by set.
type Elements<'a> = BTreeMap<&'a str, Vec<(&'a [Datum], &'a Data)>>;

/// The table with its elements, as `nft list table inet sealane` prints them.
pub fn firewall_as_nft(owned: &[(Key, Object)], policy: &Policy) -> String {
    Listing {
        table: &host_table_of(policy),
        elements: elements(owned),
    }
    .to_string()
}

/// The same, in the words of `iptables-save` and `ip6tables-save`.
pub fn firewall_as_iptables(owned: &[(Key, Object)]) -> String {
    let elements = elements(owned);
    let mut text = String::new();
    for (family, tool) in [(IpFamily::V4, "iptables"), (IpFamily::V6, "ip6tables")] {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# what {tool}-save would say; read-only, see `nft list table inet sealane`"
        );
        let _ = writeln!(
            text,
            "*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:DOCKER -"
        );
        text.push_str("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n");
        text.push_str("-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER\n");
        masquerades(&elements, family, &mut text);
        translations(&elements, family, &mut text);
        text.push_str("COMMIT\n*filter\n:FORWARD ACCEPT\n");
        text.push_str("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
        passing(&elements, family, &mut text);
        text.push_str("COMMIT\n");
    }
    text
}

fn elements(owned: &[(Key, Object)]) -> Elements<'_> {
    let mut elements = Elements::new();
    for (key, object) in owned {
        if let (Key::Element(set, fields), Object::Element(data)) = (key, object)
            && set.is_of_host_table()
        {
            let known = elements.entry(set.name.as_str()).or_default();
            known.push((fields, data));
        }
    }
    elements
}

fn of<'a>(elements: &'a Elements<'_>, set: &str) -> &'a [(&'a [Datum], &'a Data)] {
    elements.get(set).map_or(&[], Vec::as_slice)
}

fn masquerades(elements: &Elements<'_>, family: IpFamily, text: &mut String) {
    let own = family.pick(set::SELF4, set::SELF6);
    let bridges = family.pick(set::MASQUERADE4, set::MASQUERADE6);
    for (key, _) in of(elements, own) {
        if let [source, destination] = key {
            let _ = writeln!(
                text,
                "-A POSTROUTING -s {source} -d {destination} -j MASQUERADE"
            );
        }
    }
    let chosen = family.pick(set::SNAT4, set::SNAT6);
    for (key, data) in of(elements, chosen) {
        if let ([Datum::Interface(bridge)], Data::Address(address)) = (key, data) {
            let _ = writeln!(
                text,
                "-A POSTROUTING -i {bridge} ! -o {bridge} -j SNAT --to-source {address}"
            );
        }
    }
    for (key, _) in of(elements, bridges) {
        if let [Datum::Interface(bridge)] = key {
            let _ = writeln!(
                text,
                "-A POSTROUTING -i {bridge} ! -o {bridge} -j MASQUERADE"
            );
        }
    }
}

fn translations(elements: &Elements<'_>, family: IpFamily, text: &mut String) {
    for map in PUBLISH_SETS[family] {
        for (key, data) in of(elements, map) {
            let Some((protocol, address, ports)) = published(key) else {
                continue;
            };
            let address = address
                .map(|address| format!(" -d {address}"))
                .unwrap_or_default();
            let to = match data {
                Data::Socket(IpAddr::V6(ip), port) => format!("[{ip}]:{port}"),
                Data::Socket(ip, port) => format!("{ip}:{port}"),
                Data::Address(ip) => ip.to_string(),
                Data::None | Data::Verdict(_) => continue,
            };
            let _ = writeln!(
                text,
                "-A DOCKER{address} -p {protocol} -m {protocol} --dport {ports} -j DNAT \
                 --to-destination {to}"
            );
        }
    }
}

/// The protocol, the host address if there is one, and the ports of a published element.
fn published(key: &[Datum]) -> Option<(Protocol, Option<&Datum>, String)> {
    let (Datum::Protocol(protocol), rest) = key.split_first()? else {
        return None;
    };
    let (address, port) = match rest {
        [port] => (None, port),
        [address, port] => (Some(address), port),
        _ => return None,
    };
    let ports = match port {
        Datum::Port(port) => port.to_string(),
        Datum::Ports(first, last) => format!("{first}:{last}"),
        Datum::Ipv4(_)
        | Datum::Ipv6(_)
        | Datum::Protocol(_)
        | Datum::Interface(_)
        | Datum::Mac(_)
        | Datum::NfProto(_) => return None,
    };
    Some((*protocol, address, ports))
}

fn passing(elements: &Elements<'_>, family: IpFamily, text: &mut String) {
    let own = Datum::NfProto(family);
    open_ports(elements, family, text);
    for (key, data) in of(elements, set::WITHIN) {
        if let ([Datum::Interface(input), Datum::Interface(output)], Data::Verdict(verdict)) =
            (key, data)
        {
            decided(&format!("-i {input} -o {output}"), verdict, family, text);
        }
    }
    for (key, data) in of(elements, set::LEAVING) {
        if let ([Datum::Interface(link)], Data::Verdict(verdict)) = (key, data) {
            decided(&format!("-i {link}"), verdict, family, text);
        }
    }
    for (key, _) in of(elements, set::PUBLISHED) {
        if let [protocol, Datum::Interface(link)] = key
            && *protocol == own
        {
            let ports = Verdict::Goto(PUBLISHED_ONLY.into());
            decided(&format!("-o {link}"), &ports, family, text);
        }
    }
    for (key, data) in of(elements, set::ENTERING) {
        if let ([protocol, Datum::Interface(link)], Data::Verdict(verdict)) = (key, data)
            && *protocol == own
        {
            decided(&format!("-o {link}"), verdict, family, text);
        }
    }
}

/// What becomes of packets between links.
fn decided(links: &str, verdict: &Verdict, family: IpFamily, text: &mut String) {
    let icmp = family.pick("icmp", "ipv6-icmp");
    let target = match verdict {
        Verdict::Accept => "-j ACCEPT",
        Verdict::Drop => "-j DROP",
        Verdict::Goto(chain) => {
            if chain == ROUTED {
                let _ = writeln!(text, "-A FORWARD {links} -p {icmp} -j ACCEPT");
            }
            "-m conntrack ! --ctstatus DNAT -j DROP"
        }
        Verdict::Return | Verdict::Jump(_) => return,
    };
    let _ = writeln!(text, "-A FORWARD {links} {target}");
}

/// Ports that are open without translation: of routed networks, and by links.
fn open_ports(elements: &Elements<'_>, family: IpFamily, text: &mut String) {
    let open = family.pick(set::OPEN4, set::OPEN6);
    for (key, _) in of(elements, open) {
        if let [Datum::Interface(bridge), address, protocol, port] = key {
            let _ = writeln!(
                text,
                "-A FORWARD -o {bridge} -d {address} -p {protocol} -m {protocol} --dport {port} \
                 -j ACCEPT"
            );
        }
    }
    let links = of(elements, set::LINKS4).iter();
    for (key, _) in links.filter(|_| family == IpFamily::V4) {
        if let [source, destination, protocol, port] = key {
            let _ = writeln!(
                text,
                "-A FORWARD -s {source} -d {destination} -p {protocol} -m {protocol} \
                 --dport {port} -j ACCEPT"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_reads_as_iptables_would_have_it() {
        let key = vec![Datum::Protocol(Protocol::Tcp), Datum::Port(8080)];
        let data = Data::Socket("172.17.0.2".parse().unwrap(), 80);
        let owned = [(
            Key::Element("publish-port4".into(), key),
            Object::Element(data),
        )];
        let text = firewall_as_iptables(&owned);
        let rule = "-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n";
        assert_eq!(text.matches(rule).count(), 1, "{text}");
    }
}
