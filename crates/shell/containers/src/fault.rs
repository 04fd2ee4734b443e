//! Where a test may make the process die: before every write of this crate's own. What it calls
//! has its own points.

pub(crate) use sealane_store::fault::point;
