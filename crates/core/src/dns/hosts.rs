//! The /etc/hosts of a sandbox.

use std::fmt::Write;
use std::net::IpAddr;
use thiserror::Error;

const IPV4_LINES: &str = "127.0.0.1\tlocalhost\n";
const IPV6_LINES: &str = "::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// What an /etc/hosts is made from.
#[derive(Clone, Copy, Debug)]
pub struct HostsFile<'a> {
    /// The host name, which may have dots.
    pub hostname: &'a str,
    /// The domain, empty if none.
    pub domainname: &'a str,
    /// Lines asked for: name, address.
    pub extra: &'a [(String, IpAddr)],
    /// The sandbox's own addresses, in the order its endpoints have.
    pub addresses: &'a [IpAddr],
    /// Whether IPv6 is on in the sandbox. Lines of IPv6 addresses are left out otherwise.
    pub ipv6: bool,
}

impl HostsFile<'_> {
    /// The text of the file.
    pub fn render(&self) -> String {
        let mut text = String::from(IPV4_LINES);
        if self.ipv6 {
            text.push_str(IPV6_LINES);
        }
        let own_names = self.own_names();
        let extra = self.extra.iter().map(|(name, address)| (address, name));
        let own = self.addresses.iter().map(|address| (address, &own_names));
        for (address, names) in extra.chain(own).filter(|(a, _)| self.ipv6 || a.is_ipv4()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{address}\t{names}");
        }
        text
    }

    /// The full name and the first label, or the one label there is.
    fn own_names(&self) -> String {
        let full = match self.domainname {
            "" => self.hostname.to_owned(),
            domain => format!("{}.{domain}", self.hostname),
        };
        match full.split_once('.') {
            Some((first, _)) => format!("{full} {first}"),
            None => full,
        }
    }
}

/// Why a text is not an extra line for /etc/hosts. The texts are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidExtraHost {
    /// No colon, or no name before it.
    #[error("bad format for add-host: {0:?}")]
    Format(String),
    /// Not an address after the colon.
    #[error("invalid IP address in add-host: {0:?}")]
    Address(String),
    /// `host-gateway`, but the host has no such address.
    #[error("unable to derive the IP value for host-gateway")]
    NoHostGateway,
}

/// Reads `NAME:ADDRESS`. The address may be the word `host-gateway`, which stands for
/// `host_gateway`: the addresses of the default bridge, or those the daemon was given.
pub fn extra_host(
    text: &str,
    host_gateway: &[IpAddr],
) -> Result<Vec<(String, IpAddr)>, InvalidExtraHost> {
    let parts = text.split_once(':').filter(|(name, _)| !name.is_empty());
    let (name, address) = parts.ok_or_else(|| InvalidExtraHost::Format(text.into()))?;
    if address == "host-gateway" {
        if host_gateway.is_empty() {
            return Err(InvalidExtraHost::NoHostGateway);
        }
        return Ok(host_gateway
            .iter()
            .map(|gateway| (name.into(), *gateway))
            .collect());
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or(address);
    let invalid = |_| InvalidExtraHost::Address(address.into());
    Ok(vec![(
        name.into(),
        bare.parse::<IpAddr>().map_err(invalid)?.to_canonical(),
    )])
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn extra_hosts_come_before_own_addresses() {
        let extra = [("db".into(), ip("10.9.9.9")), ("db".into(), ip("fd00::9"))];
        let addresses = [ip("172.17.0.2"), ip("fd00::2")];
        let hosts = HostsFile {
            hostname: "web",
            domainname: "example.org",
            extra: &extra,
            addresses: &addresses,
            ipv6: true,
        };
        expect![[r#"
            127.0.0.1	localhost
            ::1	localhost ip6-localhost ip6-loopback
            fe00::	ip6-localnet
            ff00::	ip6-mcastprefix
            ff02::1	ip6-allnodes
            ff02::2	ip6-allrouters
            10.9.9.9	db
            fd00::9	db
            172.17.0.2	web.example.org web
            fd00::2	web.example.org web
        "#]]
        .assert_eq(&hosts.render());
        expect![[r#"
            127.0.0.1	localhost
            10.9.9.9	db
            172.17.0.2	web
        "#]]
        .assert_eq(
            &HostsFile {
                domainname: "",
                ipv6: false,
                ..hosts
            }
            .render(),
        );
    }

    #[test]
    fn host_gateway_stands_for_every_address_of_the_host() {
        let gateway = [ip("172.17.0.1"), ip("fd00::1")];
        let lines = extra_host("h:host-gateway", &gateway).unwrap();
        assert_eq!(lines, [("h".into(), gateway[0]), ("h".into(), gateway[1])]);
        assert_eq!(
            extra_host("h:host-gateway", &[]),
            Err(InvalidExtraHost::NoHostGateway)
        );
    }

    #[test]
    fn an_extra_host_is_a_name_a_colon_and_an_address() {
        assert_eq!(extra_host("h:::1", &[]).unwrap(), [("h".into(), ip("::1"))]);
        assert_eq!(
            extra_host("h:[::1]", &[]).unwrap(),
            [("h".into(), ip("::1"))]
        );
        assert_eq!(
            extra_host(":1.2.3.4", &[]).unwrap_err().to_string(),
            "bad format for add-host: \":1.2.3.4\""
        );
        assert_eq!(
            extra_host("h:1.2.3", &[]).unwrap_err().to_string(),
            "invalid IP address in add-host: \"1.2.3\""
        );
    }
}
