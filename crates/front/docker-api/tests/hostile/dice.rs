//! Requests from a seed.

/// A generator whose numbers depend on its seed alone.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below a usize")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("a byte")
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

const TARGETS: [(&str, &str); 28] = [
    ("GET", "/_ping"),
    ("HEAD", "/_ping"),
    ("GET", "/v1.50/version"),
    ("GET", "/info"),
    ("GET", "/events?since=0&until=1"),
    ("GET", "/system/df"),
    ("GET", "/networks?filters=%7B%22name%22:%5B%22(%22%5D%7D"),
    ("GET", "/networks?filters={\"label\":{\"a=b\":true}}"),
    ("GET", "/v1.24/networks/bridge?verbose=1"),
    ("POST", "/networks/create"),
    (
        "POST",
        "/networks/prune?filters=%7B%22until%22:%5B%221h%22%5D%7D",
    ),
    ("POST", "/networks/bridge/connect"),
    ("POST", "/networks/bridge/disconnect"),
    ("DELETE", "/networks/none"),
    ("GET", "/containers/json?all=1&limit=-1&filters=%7B%7D"),
    ("POST", "/containers/create?name=x"),
    ("GET", "/containers/x/json?size=1"),
    ("GET", "/containers/x/logs?stdout=1&tail=-1&since=1.5"),
    ("POST", "/containers/x/attach?stream=1&stdin=1&stdout=1"),
    ("POST", "/containers/x/wait?condition=removed"),
    ("POST", "/containers/x/resize?h=1&w=99999"),
    ("POST", "/exec/x/start"),
    (
        "GET",
        "/images/json?filters=%7B%22reference%22:%5B%22*%22%5D%7D",
    ),
    (
        "POST",
        "/images/create?fromSrc=-&repo=a&tag=b&changes=CMD%20x",
    ),
    ("POST", "/images/load?quiet=1"),
    ("GET", "/images/get?names=a,b&names=c"),
    ("POST", "/sealane/plan"),
    ("GET", "/sealane/firewall?as=iptables"),
];

const BODIES: [&str; 7] = [
    "",
    "{}",
    "{\"Name\":\"bridge\",\"IPAM\":{\"Config\":[{\"Subnet\":\"10.0.0.0/8\"}]}}",
    "{\"Container\":\"x\",\"EndpointConfig\":{\"IPAMConfig\":{\"IPv4Address\":\"1.2.3.4\"}}}",
    "{\"Image\":\"none\",\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"1\"}]}}}",
    "{\"operation\":\"connect\",\"network\":\"bridge\",\"container\":\"x\"}",
    "{\"Detach\":false,\"Tty\":true,\"ConsoleSize\":[1,2]}",
];

const HEADERS: [&str; 9] = [
    "Upgrade: tcp\r\nConnection: Upgrade\r\n",
    "Content-Type: application/json\r\n",
    "Content-Type: text/plain\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Expect: 100-continue\r\n",
    "Accept: application/json-seq\r\n",
    "X-Registry-Auth: =\r\n",
];

/// The bytes of a request, and whether a server can tell where they end.
pub(crate) struct Thrown {
    pub(crate) bytes: Vec<u8>,
    pub(crate) whole: bool,
}

/// A request that is right, or was before something happened to it.
pub(crate) fn mutated(dice: &mut Dice) -> Thrown {
    match dice.below(10) {
        0 => noise(dice),
        1..=4 => broken(dice),
        _ => strange(dice),
    }
}

/// Bytes that were never a request.
fn noise(dice: &mut Dice) -> Thrown {
    let length = dice.below(600);
    let bytes = (0..length).map(|_| dice.byte()).collect();
    Thrown {
        bytes,
        whole: false,
    }
}

/// A request whose bytes were changed anywhere.
fn broken(dice: &mut Dice) -> Thrown {
    let (method, path) = *dice.pick(&TARGETS);
    let body = *dice.pick(&BODIES);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: d\r\n");
    for _ in 0..dice.below(3) {
        head.push_str(dice.pick::<&str>(&HEADERS));
    }
    let mut bytes = request(head, body.as_bytes());
    for _ in 0..dice.below(4) {
        mutate(dice, &mut bytes);
    }
    Thrown {
        bytes,
        whole: false,
    }
}

/// A well-formed request for something strange.
fn strange(dice: &mut Dice) -> Thrown {
    let (method, path) = *dice.pick(&TARGETS);
    let mut path = path.as_bytes().to_vec();
    let mut body = dice.pick::<&str>(&BODIES).as_bytes().to_vec();
    for _ in 0..dice.below(3) {
        mutate(dice, &mut path);
        mutate(dice, &mut body);
    }
    // What would end the line would end the request elsewhere.
    path.retain(|byte| !matches!(byte, b'\r' | b'\n' | b' '));
    let path = String::from_utf8_lossy(&path).into_owned();
    let head = format!(
        "{method} /{} HTTP/1.1\r\nHost: d\r\n",
        path.trim_start_matches('/')
    );
    // Without an end, the answer to this one has none either.
    let whole = !path.contains("events");
    Thrown {
        bytes: request(head, &body),
        whole,
    }
}

fn request(mut head: String, body: &[u8]) -> Vec<u8> {
    head.push_str("Content-Type: application/json\r\nConnection: close\r\n");
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let at = dice.below(bytes.len() + 1);
    match dice.below(5) {
        0 if at < bytes.len() => bytes[at] = dice.byte(),
        1 => bytes.truncate(at),
        2 => bytes.insert(at, dice.byte()),
        3 => {
            let length = dice.below(40);
            let piece: Vec<u8> = bytes[at..].iter().copied().take(length).collect();
            bytes.splice(at..at, piece);
        }
        _ => {
            let end = (at + dice.below(20)).min(bytes.len());
            bytes.drain(at..end);
        }
    }
}
