//! The table of options: every flag and every key of `daemon.json`, in one place.
//!
//! Names are dockerd's where dockerd has them, so that scripts that start dockerd work. Help, the
//! command line, the file and the check for conflicts between the two all read this table.

/// What the value of an option looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// True or false; the bare flag is true.
    Switch,
    /// One text.
    Text,
    /// One whole number.
    Number,
    /// Texts; the flag may be repeated, the file has an array.
    List,
    /// Names with values; the flag is repeated as `name=value`, the file has an object.
    Map,
}

/// What comes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It does what its help says.
    Works,
    /// It is taken, and the log says that it changes nothing, and why.
    Nothing(&'static str),
    /// Ignoring it would make a host less safe than its operator believes, so it is refused
    /// where it asks for something.
    Refused(&'static str),
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt {
    /// The flag without its dashes; empty for what only the file has.
    pub(crate) flag: &'static str,
    /// The flag of one letter.
    pub(crate) short: Option<char>,
    /// The key in the file; empty for what only flags have.
    pub(crate) key: &'static str,
    /// What its value looks like.
    pub(crate) kind: Kind,
    /// What comes of it.
    pub(crate) effect: Effect,
    /// What it is for.
    pub(crate) help: &'static str,
}

impl Opt {
    /// The name under which its value is kept: the key, or the flag where there is none.
    pub(crate) fn name(&self) -> &'static str {
        if self.key.is_empty() {
            self.flag
        } else {
            self.key
        }
    }
}

const fn works(flag: &'static str, kind: Kind, help: &'static str) -> Opt {
    Opt {
        flag,
        short: None,
        key: flag,
        kind,
        effect: Effect::Works,
        help,
    }
}

const fn short(letter: char, option: Opt) -> Opt {
    Opt {
        short: Some(letter),
        ..option
    }
}

/// The key in the file is another word than the flag, mostly its plural.
const fn keyed(key: &'static str, option: Opt) -> Opt {
    Opt { key, ..option }
}

const fn nothing(flag: &'static str, kind: Kind, why: &'static str) -> Opt {
    Opt {
        flag,
        short: None,
        key: flag,
        kind,
        effect: Effect::Nothing(why),
        help: "",
    }
}

const fn refused(flag: &'static str, kind: Kind, why: &'static str) -> Opt {
    Opt {
        flag,
        short: None,
        key: flag,
        kind,
        effect: Effect::Refused(why),
        help: "",
    }
}

const fn file_only(key: &'static str, kind: Kind, effect: Effect) -> Opt {
    Opt {
        flag: "",
        short: None,
        key,
        kind,
        effect,
        help: "",
    }
}

const STORAGE: &str = "root file systems are overlay mounts or copies, as the data root allows";
const CONTAINERD: &str = "there is no containerd";
const REGISTRY: &str = "there are no registries";
const FIREWALL: &str = "the firewall is nftables, in tables of our own";
const LOGS: &str = "container logs are json-file";
const SWARM: &str = "there is no Swarm";
const PROXY: &str = "the relay is part of the daemon";
const NOT_YET: &str = "it is not served yet";

use Kind::{List, Map, Number, Switch, Text};

/// Every option.
pub(crate) const OPTIONS: &[Opt] = &[
    // The daemon.
    Opt {
        key: "",
        ..works(
            "config-file",
            Text,
            "Read further options here [/etc/sealane/daemon.json; as dockerd /etc/docker/daemon.json]",
        )
    },
    Opt {
        key: "",
        ..works("validate", Switch, "Check flags and file, then quit")
    },
    works(
        "data-root",
        Text,
        "Keep networks, containers and images here [/var/lib/sealane]",
    ),
    works(
        "exec-root",
        Text,
        "Keep what lasts until the next boot here [/run/sealane]",
    ),
    keyed(
        "hosts",
        short(
            'H',
            works(
                "host",
                List,
                "Serve here: unix://PATH, fd://, tcp://ADDR:PORT (TLS only)",
            ),
        ),
    ),
    short(
        'G',
        works(
            "group",
            Text,
            "Group that may use the unix socket [docker, where it exists]",
        ),
    ),
    short(
        'p',
        works(
            "pidfile",
            Text,
            "Write the process id here [/run/sealane.pid]",
        ),
    ),
    short('D', works("debug", Switch, "Log debugging details")),
    short(
        'l',
        works(
            "log-level",
            Text,
            "debug, info, warn, error or fatal [info]",
        ),
    ),
    works("raw-logs", Switch, "Log without colours"),
    keyed(
        "labels",
        works("label", List, "Label of this daemon, key=value"),
    ),
    works(
        "live-restore",
        Switch,
        "Let containers run on when the daemon stops",
    ),
    works(
        "shutdown-timeout",
        Number,
        "Seconds that stopping waits for containers [15]",
    ),
    works(
        "tls",
        Switch,
        "Use TLS on tcp:// sockets; needs --tlsverify",
    ),
    works(
        "tlsverify",
        Switch,
        "Let in clients with a certificate only",
    ),
    works(
        "tlscacert",
        Text,
        "Authority that clients' certificates are signed by",
    ),
    works("tlscert", Text, "The daemon's certificate"),
    works("tlskey", Text, "The key of the certificate"),
    file_only("min-api-version", Text, Effect::Works),
    file_only("resolv-conf", Text, Effect::Works),
    works(
        "metrics-addr",
        Text,
        "Tell metrics to Prometheus here, as 127.0.0.1:9323 [not at all]",
    ),
    works(
        "network-diagnostic-port",
        Number,
        "Tell networks as JSON on this port of 127.0.0.1 [not at all]",
    ),
    // The default network.
    short(
        'b',
        works(
            "bridge",
            Text,
            "Use this bridge for the default network; \"none\" for no such network",
        ),
    ),
    works(
        "bip",
        Text,
        "Address of the default bridge, as 172.17.0.1/16",
    ),
    works("bip6", Text, "IPv6 address of the default bridge"),
    works(
        "fixed-cidr",
        Text,
        "Give containers on it addresses of this range",
    ),
    works(
        "fixed-cidr-v6",
        Text,
        "Give containers on it IPv6 addresses of this range",
    ),
    works("default-gateway", Text, "Gateway of containers on it"),
    works(
        "default-gateway-v6",
        Text,
        "IPv6 gateway of containers on it",
    ),
    works("mtu", Number, "Its MTU in bytes [the uplink's]"),
    works("ipv6", Switch, "Give it IPv6 too"),
    works(
        "icc",
        Switch,
        "Let its containers talk to each other [true]",
    ),
    works(
        "ip-masq",
        Switch,
        "Let them out under the host's address [true]",
    ),
    works(
        "ip",
        Text,
        "Publish its ports on this host address [0.0.0.0]",
    ),
    // All networks.
    works(
        "ip-forward",
        Switch,
        "Switch forwarding on where it is off [true]",
    ),
    works(
        "ip-forward-no-drop",
        Switch,
        "Let others use the forwarding that was switched on for us",
    ),
    works(
        "allow-direct-routing",
        Switch,
        "Let published ports be reached at the containers' own addresses, too",
    ),
    works(
        "bridge-accept-fwmark",
        Text,
        "Let packets with this mark into networks: VALUE or VALUE/MASK",
    ),
    works(
        "iptables",
        Switch,
        "Filter and translate IPv4; if false, ports are relayed and nothing else [true]",
    ),
    works(
        "ip6tables",
        Switch,
        "Filter and translate IPv6; if false, ports are relayed and nothing else [true]",
    ),
    works(
        "userland-proxy",
        Switch,
        "Relay what the kernel path cannot reach [true]",
    ),
    works(
        "owner",
        Text,
        "Mark what is made with this name; daemons that share a network namespace need one each [sealane]",
    ),
    works(
        "firewall-integration",
        Text,
        "Meet foreign firewalls that drop: auto or off [auto]",
    ),
    works(
        "firewall-table",
        Text,
        "Keep its table from changes by others, or share it with them: owned or shared [owned]",
    ),
    keyed(
        "default-address-pools",
        works(
            "default-address-pool",
            List,
            "Cut subnets from here: base=10.9.0.0/16,size=24",
        ),
    ),
    keyed(
        "default-network-opts",
        works(
            "default-network-opt",
            Map,
            "Option of new networks: bridge=KEY=VALUE",
        ),
    ),
    works("dns", List, "DNS server of containers"),
    works("dns-search", List, "DNS search domain of containers"),
    keyed(
        "dns-opts",
        works("dns-opt", List, "resolv.conf option of containers"),
    ),
    keyed(
        "host-gateway-ips",
        works(
            "host-gateway-ip",
            List,
            "What host-gateway stands for [the default bridge's address]",
        ),
    ),
    file_only("host-gateway-ip", Text, Effect::Works),
    // Containers.
    keyed(
        "runtimes",
        works("add-runtime", Map, "OCI runtime, NAME=PATH"),
    ),
    works(
        "default-runtime",
        Text,
        "OCI runtime to use, a name or a path [runc, else crun]",
    ),
    works(
        "conmon",
        Text,
        "Path of conmon, which supervises containers [searched]",
    ),
    works(
        "cgroup-parent",
        Text,
        "Make containers' cgroups in this one [/sealane]",
    ),
    works("init", Switch, "Run an init process in containers"),
    // What only concerns dockerd's own parts.
    nothing("cdi-spec-dir", List, NOT_YET),
    file_only("cdi-spec-dirs", List, Effect::Nothing(NOT_YET)),
    nothing("containerd", Text, CONTAINERD),
    nothing("containerd-namespace", Text, CONTAINERD),
    keyed(
        "containerd-plugin-namespace",
        nothing("containerd-plugins-namespace", Text, CONTAINERD),
    ),
    nothing("cri-containerd", Switch, CONTAINERD),
    nothing("cpu-rt-period", Number, NOT_YET),
    nothing("cpu-rt-runtime", Number, NOT_YET),
    nothing("default-cgroupns-mode", Text, NOT_YET),
    nothing("default-ipc-mode", Text, NOT_YET),
    nothing("default-shm-size", Text, NOT_YET),
    nothing("default-stop-timeout", Number, NOT_YET),
    keyed("default-ulimits", nothing("default-ulimit", Map, NOT_YET)),
    keyed(
        "exec-opts",
        nothing(
            "exec-opt",
            List,
            "cgroups are made directly, without systemd",
        ),
    ),
    nothing("experimental", Switch, "there are no experimental features"),
    keyed(
        "features",
        nothing("feature", Map, "dockerd's features are its own"),
    ),
    file_only("builder", Map, Effect::Nothing("there is no builder")),
    nothing("firewall-backend", Text, FIREWALL),
    nothing("http-proxy", Text, REGISTRY),
    nothing("https-proxy", Text, REGISTRY),
    nothing("no-proxy", Text, REGISTRY),
    file_only("proxies", Map, Effect::Nothing(REGISTRY)),
    nothing("init-path", Text, NOT_YET),
    nothing("oom-score-adjust", Number, NOT_YET),
    file_only("default-init", Text, Effect::Nothing(NOT_YET)),
    keyed(
        "insecure-registries",
        nothing("insecure-registry", List, REGISTRY),
    ),
    keyed(
        "registry-mirrors",
        nothing("registry-mirror", List, REGISTRY),
    ),
    file_only(
        "allow-nondistributable-artifacts",
        List,
        Effect::Nothing(REGISTRY),
    ),
    file_only("deprecated-key-path", Text, Effect::Nothing(REGISTRY)),
    nothing("log-driver", Text, LOGS),
    nothing("log-format", Text, "the daemon logs as text"),
    keyed("log-opts", nothing("log-opt", Map, LOGS)),
    nothing("max-concurrent-downloads", Number, REGISTRY),
    nothing("max-concurrent-uploads", Number, REGISTRY),
    nothing("max-download-attempts", Number, REGISTRY),
    nothing("network-control-plane-mtu", Number, SWARM),
    keyed(
        "node-generic-resources",
        nothing("node-generic-resource", List, SWARM),
    ),
    nothing("nri-opts", Map, CONTAINERD),
    short(
        'r',
        Opt {
            key: "",
            ..nothing("restart", Switch, "containers have restart policies")
        },
    ),
    nothing(
        "seccomp-profile",
        Text,
        "containers have the built-in profile",
    ),
    short('s', nothing("storage-driver", Text, STORAGE)),
    keyed("storage-opts", nothing("storage-opt", List, STORAGE)),
    nothing("swarm-default-advertise-addr", Text, SWARM),
    file_only("swarm-raft-heartbeat-tick", Number, Effect::Nothing(SWARM)),
    file_only("swarm-raft-election-tick", Number, Effect::Nothing(SWARM)),
    nothing("userland-proxy-path", Text, PROXY),
    // What must not be ignored in silence.
    keyed(
        "authorization-plugins",
        refused("authorization-plugin", List, "nothing would be authorized"),
    ),
    refused(
        "no-new-privileges",
        Switch,
        "set it per container: --security-opt no-new-privileges",
    ),
    refused("rootless", Switch, "the daemon needs root"),
    refused(
        "selinux-enabled",
        Switch,
        "containers would run without labels",
    ),
    refused(
        "userns-remap",
        Text,
        "containers would run as the host's root",
    ),
];

/// The option with this name in the file.
pub(crate) fn by_key(key: &str) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|option| !option.key.is_empty() && option.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_name_is_taken_twice() {
        let flags = OPTIONS
            .iter()
            .map(|option| option.flag)
            .filter(|flag| !flag.is_empty());
        let keys = OPTIONS
            .iter()
            .map(|option| option.key)
            .filter(|key| !key.is_empty());
        for names in [flags.collect::<Vec<_>>(), keys.collect()] {
            let unique: BTreeSet<_> = names.iter().collect();
            assert_eq!(unique.len(), names.len());
        }
        let letters: Vec<_> = OPTIONS.iter().filter_map(|option| option.short).collect();
        assert_eq!(letters.iter().collect::<BTreeSet<_>>().len(), letters.len());
    }

    #[test]
    fn what_works_says_what_it_does() {
        let told = |option: &&Opt| option.effect == Effect::Works && !option.flag.is_empty();
        for option in OPTIONS.iter().filter(told) {
            assert!(!option.help.is_empty(), "{}", option.flag);
        }
    }
}
