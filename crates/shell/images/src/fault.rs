//! Where a test may make the process die: before every write that lasts.

pub(crate) use sealane_kernel::fault::point;
