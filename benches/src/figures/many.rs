//! Thousands of networks on one host: making them, and listing them.

use super::Extent;
use crate::error::{BenchError, Result};
use crate::report::{Reading, Row, Target};
use crate::samples::{Samples, timed};
use crate::stage::Stage;
use serde_json::json;
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(10);
/// For all of them.
const MAKE: f64 = 20.0;
const LIST: f64 = 0.1;

/// Makes them one by one, then lists them again and again.
pub(crate) fn take(extent: Extent) -> Result<Vec<Row>> {
    let stage = Stage::new(1)?;
    let engine = &mut stage.start(0)?.engine;
    let count: u16 = extent.size(5_000, 100);
    let before = engine.count_networks()?;
    let mut each = Samples::default();
    for number in 0..count {
        let [high, low] = number.to_be_bytes();
        let (name, subnet) = (format!("n{number}"), format!("10.{high}.{low}.0/24"));
        let made = timed(|| engine.create_network_of("bridge", &name, &subnet, &json!({})))?;
        each.push(made.1);
    }
    let mut listed = Samples::default();
    for _ in extent.rounds(30, SPAN) {
        let (found, took) = timed(|| engine.count_networks())?;
        if found != before + usize::from(count) {
            let why = format!("{found} networks are listed, not {count} and the default ones");
            return Err(BenchError::Unexpected(why));
        }
        listed.push(took);
    }
    Ok(rows(count, each, listed))
}

fn rows(count: u16, each: Samples, listed: Samples) -> Vec<Row> {
    vec![
        Row::alone(
            format!("making {count} networks"),
            Reading::Time(each.sum()),
            Target::Under(MAKE),
        ),
        Row::alone(
            format!("each of {count} networks"),
            Reading::Times(each),
            Target::Told,
        ),
        Row::alone(
            format!("`GET /networks` with {count} networks"),
            Reading::Times(listed),
            Target::Under(LIST),
        ),
    ]
}
