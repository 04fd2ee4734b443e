//! Where a test may make the process die: before every exec and every write.

pub(crate) use sealane_kernel::fault::point;
