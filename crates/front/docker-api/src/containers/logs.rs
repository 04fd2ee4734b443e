//! `GET /containers/NAME/logs`

use crate::call::Call;
use crate::error::ApiError;
use crate::frames::Framing;
use crate::hijack;
use crate::query::Query;
use crate::respond::{self, Response};
use crate::time;
use jiff::Timestamp;
use sealane_containers::LogOptions;

/// Sends what a container wrote, and what it writes from now on if the client follows.
pub(crate) async fn logs(call: Call, name: String) -> Result<Response, ApiError> {
    let options = options(&call.query)?;
    let version = call.version;
    let logs = call
        .blocking(move |api| api.containers.logs(&name, &options))
        .await?;
    let framing = Framing::of(logs.tty);
    Ok(respond::stream(
        framing.content_type(version),
        hijack::pieces(logs.output, framing),
    ))
}

fn options(query: &Query) -> Result<LogOptions, ApiError> {
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::invalid(
            "must specify at least one of 'stdout' or 'stderr'",
        ));
    }
    let now = Timestamp::now();
    let until = query.text("until").filter(|text| *text != "0");
    Ok(LogOptions {
        stdout,
        stderr,
        follow: query.flag("follow"),
        timestamps: query.flag("timestamps"),
        // What is no number, `all` above others, is everything.
        tail: query.text("tail").and_then(|text| text.parse().ok()),
        since: time::optional(query.text("since"), now)?,
        until: time::optional(until, now)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_read() {
        let query = Query::parse("stdout=1&tail=5&since=1.5&until=0&follow=true").unwrap();
        let options = options(&query).unwrap();
        assert!(options.stdout && !options.stderr && options.follow);
        assert_eq!(options.tail, Some(5));
        assert_eq!(
            options.since.map(Timestamp::as_nanosecond),
            Some(1_500_000_000)
        );
        assert_eq!(options.until, None);
    }

    #[test]
    fn a_stream_must_be_chosen() {
        let error = options(&Query::parse("tail=all").unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "must specify at least one of 'stdout' or 'stderr'"
        );
        assert_eq!(
            options(&Query::parse("stderr=1&tail=all").unwrap())
                .unwrap()
                .tail,
            None
        );
    }
}
