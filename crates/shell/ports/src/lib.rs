//! Host ports: reserved by real sockets, relayed where the kernel cannot translate.
