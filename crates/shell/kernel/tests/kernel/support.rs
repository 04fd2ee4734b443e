//! A private kernel for a test, the programs that witness what it holds, and short words for the
//! objects of plans.

use sealane_core::model::{InterfaceName, Mac, SandboxId, derive_id};
use sealane_core::plan::{BridgePort, Change, Key, Link, LinkKind, Netns, Object, Route};
use sealane_kernel::Kernel;
use sealane_kernel::read::Observe;
use sealane_kernel::write::Write;
use serde_json::Value;
use std::process::Command;

/// Runs a test in a network and mount namespace of its own.
pub(crate) fn private(test: impl FnOnce(&Kernel) + Send) {
    // Outlives the namespaces, since what is mounted in it does not.
    let folder = tempfile::tempdir().unwrap();
    sealane_kernel::netns::isolated(|| {
        let kernel = Kernel::open(folder.path().join("netns")).unwrap();
        test(&kernel);
    })
    .expect("new namespaces; tests of the kernel run as root");
}

/// Runs a program in the test's namespace and returns what it prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program in a sandbox.
pub(crate) fn run_in(kernel: &Kernel, sandbox: &SandboxId, arguments: &[&str]) -> String {
    let netns = format!("--net={}", kernel.namespace_path(sandbox).display());
    run("nsenter", &[&[netns.as_str()], arguments].concat())
}

/// What `ip -json -details` says, as a list.
pub(crate) fn ip(arguments: &[&str]) -> Vec<Value> {
    list(&run("ip", &[&["-json", "-details"], arguments].concat()))
}

/// The same in a sandbox.
pub(crate) fn ip_in(kernel: &Kernel, sandbox: &SandboxId, arguments: &[&str]) -> Vec<Value> {
    list(&run_in(
        kernel,
        sandbox,
        &[&["ip", "-json", "-details"], arguments].concat(),
    ))
}

fn list(text: &str) -> Vec<Value> {
    match text.trim() {
        "" => Vec::new(), // what ip prints for no neighbors
        text => serde_json::from_str(text).unwrap(),
    }
}

/// Text with single spaces, so that layouts compare equal.
pub(crate) fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn name(text: &str) -> InterfaceName {
    InterfaceName::try_from(text).unwrap()
}

pub(crate) fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

pub(crate) fn sandbox(text: &str) -> SandboxId {
    derive_id(&[text.as_bytes()])
}

pub(crate) fn inside(text: &str) -> Netns {
    Netns::Sandbox(sandbox(text))
}

/// Makes objects.
pub(crate) fn make(kernel: &Kernel, objects: Vec<(Key, Object)>) {
    kernel.write(&creations(objects)).unwrap();
}

pub(crate) fn creations(objects: Vec<(Key, Object)>) -> Vec<Change> {
    objects
        .into_iter()
        .map(|(key, object)| Change::Create(key, object))
        .collect()
}

/// What removes objects, in reverse.
pub(crate) fn removals(objects: Vec<(Key, Object)>) -> Vec<Change> {
    objects
        .into_iter()
        .rev()
        .map(|(key, object)| Change::Delete(key, object))
        .collect()
}

/// A bridge `br0` with an address, and a sandbox joined to it: by a veth `veth-<name>` to its
/// `eth0`, with addresses `10.9.0.<last>` and `fd09::<last>`, and routes out.
pub(crate) fn attached(text: &str, last: u8) -> Vec<(Key, Object)> {
    let eth0 = || name("eth0");
    let net = |text: String| text.parse().unwrap();
    let route = |via: &str| Object::Route(Route::by(eth0(), via.parse().ok()));
    let address4 = net(format!("10.9.0.{last}/24"));
    let address6 = net(format!("fd09::{last:x}/64"));
    let mut objects = vec![(Key::Namespace(sandbox(text)), Object::Present)];
    objects.extend(bridged());
    objects.extend([
        (
            Key::Link(Netns::Host, name(&format!("veth-{text}"))),
            veth(text, last),
        ),
        (
            Key::Address(inside(text), eth0(), address4),
            Object::Present,
        ),
        (
            Key::Address(inside(text), eth0(), address6),
            Object::Present,
        ),
        (Key::Up(inside(text), eth0()), Object::Present),
        (
            Key::Neighbor(Netns::Host, name("br0"), address4.addr()),
            Object::Neighbor(mac(last)),
        ),
        (
            Key::Neighbor(inside(text), eth0(), [10, 9, 0, 1].into()),
            Object::Neighbor(mac(1)),
        ),
        (
            Key::Route(inside(text), net("0.0.0.0/0".into()).into()),
            route("10.9.0.1"),
        ),
        (
            Key::Route(inside(text), net("::/0".into()).into()),
            route("fd09::1"),
        ),
    ]);
    objects
}

/// A bridge `br0` with addresses.
pub(crate) fn bridged() -> Vec<(Key, Object)> {
    let br0 = || name("br0");
    let bridge = Link {
        mtu: Some(1400),
        mac: Some(mac(1)),
        ..Link::of(LinkKind::Bridge)
    };
    let net = |text: &str| text.parse().unwrap();
    vec![
        (Key::Link(Netns::Host, br0()), Object::Link(bridge)),
        (
            Key::Address(Netns::Host, br0(), net("10.9.0.1/24")),
            Object::Present,
        ),
        (
            Key::Address(Netns::Host, br0(), net("fd09::1/64")),
            Object::Present,
        ),
        (Key::Up(Netns::Host, br0()), Object::Present),
    ]
}

/// A veth to the `eth0` of a sandbox, a hairpin port of `br0`.
pub(crate) fn veth(text: &str, last: u8) -> Object {
    Object::Link(Link {
        mtu: Some(1400),
        port: Some(BridgePort {
            hairpin: true,
            ..BridgePort::of(name("br0"))
        }),
        ..Link::of(LinkKind::Veth {
            peer: (inside(text), name("eth0")),
            peer_mac: mac(last),
        })
    })
}

/// Waits for what the kernel does on its own.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("it did not come to hold in ten seconds");
}

/// The keys of objects that are not as wanted.
pub(crate) fn differing(kernel: &Kernel, objects: &[(Key, Object)]) -> Vec<Key> {
    let wanted: Vec<(&Key, &Object)> = objects.iter().map(|(key, object)| (key, object)).collect();
    kernel.differing(&wanted).unwrap()
}

/// A link with other settings.
pub(crate) fn with(object: &Object, change: impl FnOnce(&mut Link)) -> Object {
    let Object::Link(mut link) = object.clone() else {
        panic!("not a link: {object:?}");
    };
    change(&mut link);
    Object::Link(link)
}

/// A link of the host.
pub(crate) fn key(text: &str) -> Key {
    Key::Link(Netns::Host, name(text))
}
