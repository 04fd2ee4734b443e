//! Upstreams that behave as told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What an upstream does with a query for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers with this address.
    Answer(Ipv4Addr),
    /// Answers after a while.
    Slow(Duration, Ipv4Addr),
    /// Answers with this code.
    Fail(u8),
    /// Says that the name does not exist, for a minute.
    Deny,
    /// Says nothing.
    Silent,
    /// Says over UDP that it has more to say than fits.
    Truncate(Ipv4Addr),
    /// Lets a forger speak first, who does not know the id or the question.
    Forged(Ipv4Addr),
    /// Says nothing over UDP, and hangs up over TCP.
    HangUp,
    /// Repeats the question in small letters.
    Fold(Ipv4Addr),
    /// Knows names in small letters only, and denies others.
    Strict(Ipv4Addr),
    /// Is preceded by many forged answers that come to the port of the query.
    Besieged(Ipv4Addr),
}

/// A running upstream. It ends with the process.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    datagrams: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    ports: Arc<Mutex<Vec<u16>>>,
}

impl Fake {
    /// Starts one in the namespace of the calling thread, on any port of this address.
    pub(crate) fn start(ip: &str, manner: Manner) -> Self {
        Self::start_at(format!("{ip}:0").parse().unwrap(), manner)
    }

    /// Starts one at this address and port.
    pub(crate) fn start_at(address: SocketAddr, manner: Manner) -> Self {
        let udp = UdpSocket::bind(address).unwrap();
        let address = udp.local_addr().unwrap();
        let tcp = TcpListener::bind(address).unwrap();
        let fake = Self {
            address,
            datagrams: Arc::default(),
            streams: Arc::default(),
            ports: Arc::default(),
        };
        let (datagrams, streams) = (fake.datagrams.clone(), fake.streams.clone());
        let ports = fake.ports.clone();
        thread::spawn(move || serve_datagrams(&udp, manner, &datagrams, &ports));
        thread::spawn(move || serve_streams(&tcp, manner, &streams));
        fake
    }

    /// How many queries came by UDP.
    pub(crate) fn datagrams(&self) -> usize {
        self.datagrams.load(Ordering::SeqCst)
    }

    /// From which ports they came, in order.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.ports.lock().unwrap().clone()
    }

    /// How many came by TCP.
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }
}

fn serve_datagrams(udp: &UdpSocket, manner: Manner, count: &AtomicUsize, ports: &Mutex<Vec<u16>>) {
    let mut buffer = [0; 65_535];
    loop {
        let (length, client) = udp.recv_from(&mut buffer).unwrap();
        count.fetch_add(1, Ordering::SeqCst);
        ports.lock().unwrap().push(client.port());
        let query = buffer[..length].to_vec();
        let udp = udp.try_clone().unwrap();
        let reply = move || {
            let mut reply = reply(&query, manner)?;
            match manner {
                Manner::Truncate(_) => {
                    reply[2] |= 0x02;
                    reply[7] = 0;
                    reply.truncate(reply.len() - 16);
                }
                Manner::Forged(_) => forgeries(&reply).iter().for_each(|forgery| {
                    udp.send_to(forgery, client).unwrap();
                }),
                Manner::Besieged(_) => forged_ids(&reply).for_each(|forgery| {
                    // The port may be closed by now.
                    let _ = udp.send_to(&forgery, client);
                }),
                Manner::Answer(_)
                | Manner::Slow(..)
                | Manner::Fail(_)
                | Manner::Deny
                | Manner::Fold(_)
                | Manner::Strict(_) => {}
                Manner::Silent | Manner::HangUp => return None,
            }
            udp.send_to(&reply, client).ok()
        };
        if let Manner::Slow(..) = manner {
            thread::spawn(reply);
        } else {
            reply();
        }
    }
}

fn serve_streams(tcp: &TcpListener, manner: Manner, count: &Arc<AtomicUsize>) {
    for stream in tcp.incoming() {
        let (mut stream, count) = (stream.unwrap(), count.clone());
        thread::spawn(move || {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).ok()?;
            count.fetch_add(1, Ordering::SeqCst);
            if manner == Manner::HangUp {
                return Some(());
            }
            let Some(reply) = reply(&query, manner) else {
                // Kept open: silence is not the same as hanging up.
                return stream.read(&mut [0]).ok().map(drop);
            };
            let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &reply].concat()).ok()
        });
    }
}

/// The reply with a wrong address, under 40 ids that are not the right one.
fn forged_ids(reply: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut wrong = reply.to_vec();
    let end = wrong.len();
    wrong[end - 4..].copy_from_slice(&[6, 6, 6, 6]);
    (1..=40).map(move |difference| {
        let mut forgery = wrong.clone();
        forgery[1] ^= difference;
        forgery
    })
}

/// Replies with a wrong id, and to a wrong question, both with a wrong address; and scraps.
fn forgeries(reply: &[u8]) -> Vec<Vec<u8>> {
    let mut wrong = reply.to_vec();
    let end = wrong.len();
    wrong[end - 4..].copy_from_slice(&[6, 6, 6, 6]);
    let (mut id, mut question) = (wrong.clone(), wrong);
    id[0] ^= 0xff;
    question[13] ^= 1;
    let scraps = [0, 1, 11, 12, 13, 20].map(|length| reply[..length].to_vec());
    [vec![id, question], scraps.to_vec()].concat()
}

fn reply(query: &[u8], manner: Manner) -> Option<Vec<u8>> {
    let name = query[12..].iter().position(|byte| *byte == 0)? + 13;
    let mut reply = query[..name + 4].to_vec();
    reply[2] |= 0x80;
    reply[3] = 0x80;
    reply[6..12].fill(0);
    match manner {
        Manner::Silent | Manner::HangUp => return None,
        Manner::Fail(code) => reply[3] |= code,
        Manner::Strict(address) if !has_large(&reply[12..name]) => {
            answer_with(&mut reply, address);
        }
        Manner::Deny | Manner::Strict(_) => {
            reply[3] |= 3;
            reply[9] = 1;
            reply.extend([0, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0]);
            reply.extend(
                [1_u32, 2, 3, 4, 60]
                    .iter()
                    .flat_map(|number| number.to_be_bytes()),
            );
        }
        Manner::Slow(delay, address) => {
            thread::sleep(delay);
            answer_with(&mut reply, address);
        }
        Manner::Fold(address) => {
            reply[12..name].make_ascii_lowercase();
            answer_with(&mut reply, address);
        }
        Manner::Answer(address)
        | Manner::Truncate(address)
        | Manner::Forged(address)
        | Manner::Besieged(address) => {
            answer_with(&mut reply, address);
        }
    }
    Some(reply)
}

fn has_large(name: &[u8]) -> bool {
    name.iter().any(u8::is_ascii_uppercase)
}

fn answer_with(reply: &mut Vec<u8>, address: Ipv4Addr) {
    reply[7] = 1;
    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    reply.extend(address.octets());
}
