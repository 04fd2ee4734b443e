//! Random numbers that cannot be guessed: query ids are part of what tells a reply from a forgery.

/// How many bytes are fetched at a time.
const BYTES: usize = 4_096;

/// Random numbers, fetched from the kernel many at a time.
pub(crate) struct Random {
    bytes: [u8; BYTES],
    used: usize,
}

impl Random {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; BYTES],
            used: BYTES,
        }
    }

    pub(crate) fn id(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes())
    }

    pub(crate) fn seed(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > self.bytes.len() {
            // Cannot fail once the machine has booted; the old bytes would still serve.
            if let Err(error) = getrandom::fill(&mut self.bytes) {
                tracing::warn!(%error, "the kernel gives no random numbers; query ids repeat");
            }
            self.used = 0;
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&self.bytes[self.used..self.used + N]);
        self.used += N;
        taken
    }
}
