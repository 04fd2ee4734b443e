//! Names of siblings, against a bare UDP echo.

use super::Extent;
use crate::error::Result;
use crate::report::Row;

/// Not there yet.
pub(crate) fn take(_extent: Extent) -> Result<Vec<Row>> {
    Ok(vec![Row::missing(
        "names",
        "the resolver cannot be measured yet",
    )])
}
