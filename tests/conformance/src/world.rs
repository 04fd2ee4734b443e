//! A lab with one daemon in it.

use sealane_testkit::{Daemon, DaemonOptions, Host, Lab, eventually};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// How long a program in a container may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The page that the test image's server shows.
pub const HELLO: &str = "Sealane says hello.";

/// The command that serves it.
pub const HTTPD: &str = "httpd -f -h /www";

/// A lab with a daemon on its first host, which has the image `img`.
#[derive(Debug)]
pub struct World {
    // In this order: the daemon goes before its host does.
    daemon: Daemon,
    lab: Lab,
}

impl World {
    /// A fresh host with a fresh daemon.
    #[expect(
        clippy::new_without_default,
        reason = "it starts processes; that is no default"
    )]
    #[track_caller]
    pub fn new() -> Self {
        Self::with_flags(&[])
    }

    /// A fresh host with a daemon that has further flags.
    #[track_caller]
    pub fn with_flags(flags: &[&str]) -> Self {
        Self::prepared(flags, |_| {})
    }

    /// A fresh host that is changed before the daemon starts.
    #[track_caller]
    pub fn prepared(flags: &[&str], prepare: impl FnOnce(&Lab)) -> Self {
        let lab = Lab::new();
        prepare(&lab);
        Self {
            daemon: Daemon::with_image(lab.host(0), flags),
            lab,
        }
    }

    /// A lab that is there already, with a daemon that has any options.
    #[track_caller]
    pub fn of(lab: Lab, options: DaemonOptions) -> Self {
        let daemon = Daemon::start_with(lab.host(0), options);
        daemon.import("busybox.tar", "img");
        Self { daemon, lab }
    }

    /// Takes the host's power away and gives it back.
    #[track_caller]
    pub fn reboot(&mut self) {
        self.kill9();
        self.host().lose_power();
        self.launch();
    }

    /// The host the daemon runs on.
    pub fn host(&self) -> &Host {
        self.lab.host(0)
    }

    /// The rest of the LAN.
    pub fn peer(&self) -> &Host {
        self.lab.peer()
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Creates a network with the stock CLI and returns its id.
    #[track_caller]
    pub fn network(&self, arguments: &str) -> String {
        self.docker(&format!("network create {arguments}")).ok()
    }

    /// Runs the image's web server in the background, `serve("--name web -p 8080:80")`, and waits
    /// until it listens: a container runs before its program has done anything.
    #[track_caller]
    pub fn serve(&self, arguments: &str) -> String {
        let id = self.run(&format!("{arguments} img {HTTPD}"));
        let sandbox = self.sandbox(&id);
        eventually(PATIENCE, || {
            let listening = sandbox.sh("ss -Hltn 'sport = :80'").stdout;
            (!listening.is_empty()).then_some(())
        });
        id
    }

    /// Waits until a container has printed `text`: until a trap is set, say.
    #[track_caller]
    pub fn wait_for_output(&self, container: &str, text: &str) {
        eventually(PATIENCE, || {
            let printed = self.docker(&format!("logs {container}")).ok();
            printed.contains(text).then_some(())
        });
    }

    /// Waits until the daemon has noticed a bridge that is not ours: where bridged packets pass the
    /// host's filters, it lets pass what stays within.
    #[track_caller]
    pub fn wait_for_foreign_bridge(&self, name: &str) {
        let filtered = self
            .host()
            .sh("cat /proc/sys/net/bridge/bridge-nf-call-iptables")
            .ok();
        if filtered != "1" {
            return;
        }
        let known = format!("\"{name}\" . \"{name}\"");
        eventually(PATIENCE, || {
            let within = self.host().sh("nft list map inet sealane within").ok();
            within.contains(&known).then_some(())
        });
    }

    /// Runs a container that does nothing, in the background.
    #[track_caller]
    pub fn idle(&self, arguments: &str) -> String {
        self.run(&format!("{arguments} img sleep 1000000"))
    }
}

impl Deref for World {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

/// Runs a test on a host whose bridged packets do not pass its IP filters, and on one where they do.
#[track_caller]
pub fn with_bridge_filter_off_and_on(test: impl Fn(&World)) {
    for on in [false, true] {
        eprintln!("br_netfilter {}", u8::from(on));
        let world = World::prepared(&[], |lab| lab.host(0).br_netfilter(on));
        test(&world);
    }
}
