//! The way into one namespace: its handle, and a socket of either netlink family.

use crate::netns::Handle;
use crate::socket::Socket;
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rustix::net::netdevice;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sockets into a namespace. They keep it alive, so a removed namespace must lose its channel.
#[derive(Debug)]
pub(crate) struct Channel {
    handle: Handle,
    route: Mutex<Socket>,
    netfilter: Mutex<Socket>,
    /// The port of that one, to be asked while it is at work.
    netfilter_port: AtomicU32,
}

impl Channel {
    /// Opens a channel into the namespace of the calling thread.
    pub(crate) fn here() -> io::Result<Self> {
        let netfilter = Socket::open(NETLINK_NETFILTER)?;
        Ok(Self {
            handle: Handle::current()?,
            route: Mutex::new(Socket::open(NETLINK_ROUTE)?),
            netfilter_port: AtomicU32::new(netfilter.port()),
            netfilter: Mutex::new(netfilter),
        })
    }

    /// The namespace.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The rtnetlink socket. A poisoned lock is taken: answers to what a panic broke off have
    /// other sequence numbers and are passed over.
    pub(crate) fn route(&self) -> MutexGuard<'_, Socket> {
        self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nfnetlink socket.
    pub(crate) fn netfilter(&self) -> MutexGuard<'_, Socket> {
        self.netfilter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The port of the nfnetlink socket.
    pub(crate) fn netfilter_port(&self) -> u32 {
        self.netfilter_port.load(Ordering::Acquire)
    }

    /// Takes another nfnetlink socket: the tables that the old one owned are free.
    pub(crate) fn change_netfilter(&self) -> io::Result<()> {
        let socket = self.handle.visit(|| Socket::open(NETLINK_NETFILTER))?;
        let mut netfilter = self.netfilter();
        self.netfilter_port.store(socket.port(), Ordering::Release);
        *netfilter = socket;
        Ok(())
    }

    /// The index of a link, by an ioctl that takes no lock of the kernel's; `None` if there is no
    /// such link.
    pub(crate) fn index(&self, socket: &Socket, link: &str) -> io::Result<Option<u32>> {
        match netdevice::name_to_index(socket, link) {
            Ok(index) => Ok(Some(index)),
            Err(rustix::io::Errno::NODEV) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
