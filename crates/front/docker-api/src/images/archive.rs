//! Images in and out as archives: import, load, save.

use super::publish;
use crate::call::Call;
use crate::error::ApiError;
use crate::pipe;
use crate::query::Query;
use crate::respond::{self, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// `POST /images/create`: an import. What Docker calls a pull has the same path.
pub(crate) async fn import(mut call: Call) -> Result<Response, ApiError> {
    if call.query.text("fromImage").is_some() {
        return Err(ApiError::not_implemented(
            "pulling images is not supported; bring an image in with docker load (from docker \
             save) or docker import (from a tar of its files)",
        ));
    }
    if call.query.text("fromSrc") != Some("-") {
        return Err(ApiError::not_implemented(
            "importing from a URL is not supported; download it and use docker import - NAME",
        ));
    }
    let reference = reference(&call.query);
    let message = call
        .query
        .text("message")
        .unwrap_or("Imported from -")
        .to_owned();
    let changes: Vec<String> = call.query.all("changes").map(str::to_owned).collect();
    let tar = pipe::reader(call.take_body());
    let id = call
        .blocking(move |api| {
            let id = api
                .images
                .import(tar, reference.as_deref(), &changes, &message)?;
            publish(
                api,
                "import",
                &id.to_string(),
                reference.as_deref().unwrap_or_default(),
            );
            Ok::<_, ApiError>(id)
        })
        .await?;
    Ok(respond::ok(&json!({ "status": id.to_string() })))
}

/// `POST /images/load`
pub(crate) async fn load(mut call: Call) -> Result<Response, ApiError> {
    let tar = pipe::reader(call.take_body());
    let lines = call
        .blocking(move |api| {
            let lines = api.images.load(tar)?;
            for name in lines
                .iter()
                .filter_map(|line| line.strip_prefix("Loaded image: "))
            {
                let id = api.images.inspect(name).map(|image| image.id.to_string());
                publish(api, "load", &id.unwrap_or_default(), name);
            }
            Ok::<_, ApiError>(lines)
        })
        .await?;
    let mut body = Vec::new();
    for line in lines {
        let line = json!({ "stream": format!("{}\n", line.trim_end()) });
        body.extend_from_slice(line.to_string().as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    let status = hyper::StatusCode::OK;
    Ok(respond::with_type(
        status,
        "application/json",
        respond::full(body),
    ))
}

/// `GET /images/NAME/get`
pub(crate) async fn save(call: Call, name: String) -> Result<Response, ApiError> {
    save_all(call, vec![name]).await
}

/// `GET /images/get?names=...`
pub(crate) async fn save_many(call: Call) -> Result<Response, ApiError> {
    // Several may share one parameter, with commas.
    let names = call.query.all("names").flat_map(|text| text.split(','));
    let names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    save_all(call, names).await
}

/// Sends an archive as it is written. A failure before the first byte is an error like any other;
/// after it, the answer breaks off.
async fn save_all(call: Call, names: Vec<String>) -> Result<Response, ApiError> {
    let (mut writer, mut pieces) = pipe::writer();
    let api = Arc::clone(&call.api);
    let saving = tokio::task::spawn_blocking(move || -> Result<(), ApiError> {
        api.images.save(&names, &mut writer)?;
        writer
            .flush()
            .map_err(|error| ApiError::internal(format!("the save ended: {error}")))?;
        for name in &names {
            if let Ok(image) = api.images.inspect(name) {
                publish(&api, "save", &image.id.to_string(), name);
            }
        }
        Ok(())
    });
    let Some(first) = pieces.recv().await else {
        return match saving.await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) => Ok(archive(Bytes::new(), pieces)),
            Err(_) => Err(ApiError::internal("saving failed; see the daemon's log")),
        };
    };
    tokio::spawn(async move {
        if let Ok(Err(error)) = saving.await {
            tracing::warn!(%error, "an archive broke off");
        }
    });
    Ok(archive(first, pieces))
}

fn archive(first: Bytes, rest: Receiver<Bytes>) -> Response {
    let pieces = stream::unfold((Some(first), rest), |(first, mut rest)| async move {
        match first {
            Some(piece) => Some((piece, (None, rest))),
            None => rest.recv().await.map(|piece| (piece, (None, rest))),
        }
    });
    respond::stream("application/x-tar", pieces)
}

/// The name that an import gets: `repo`, with `tag` if that is apart.
fn reference(query: &Query) -> Option<String> {
    let name = query.text("repo")?;
    Some(match query.text("tag") {
        Some(tag) if tag.contains(':') => format!("{name}@{tag}"),
        Some(tag) => format!("{name}:{tag}"),
        None => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_in_one_piece_or_in_two() {
        let name = |text| reference(&Query::parse(text).unwrap());
        assert_eq!(name("repo=a:1&tag="), Some("a:1".into()));
        assert_eq!(name("repo=a&tag=1"), Some("a:1".into()));
        assert_eq!(name("repo=&tag="), None);
    }
}
