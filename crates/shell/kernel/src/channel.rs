//! The way into one namespace: its handle, and a socket of either netlink family.

use crate::netns::Handle;
use crate::socket::Socket;
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rustix::net::netdevice;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sockets into a namespace. They keep it alive, so a removed namespace must lose its channel.
#[derive(Debug)]
pub(crate) struct Channel {
    handle: Handle,
    route: Mutex<Socket>,
    netfilter: Mutex<Socket>,
}

impl Channel {
    /// Opens a channel into the namespace of the calling thread.
    pub(crate) fn here() -> io::Result<Self> {
        Ok(Self {
            handle: Handle::current()?,
            route: Mutex::new(Socket::open(NETLINK_ROUTE)?),
            netfilter: Mutex::new(Socket::open(NETLINK_NETFILTER)?),
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
