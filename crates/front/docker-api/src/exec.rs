//! Requests of processes added to running containers.

use crate::call::Call;
use crate::containers::terminal_size;
use crate::error::ApiError;
use crate::hijack;
use crate::respond::{self, Response};
use crate::shape::nullable;
use crate::version::ApiVersion;
use bollard_stubs::models::{ExecConfig, ExecInspectResponse, ProcessConfig};
use hyper::StatusCode;
use sealane_containers::{ExecRequest, ExecStart, ExecView, TerminalSize};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct StartBody {
    #[serde(deserialize_with = "nullable")]
    detach: bool,
    #[serde(deserialize_with = "nullable")]
    tty: bool,
    console_size: Option<[u32; 2]>,
}

/// `POST /containers/NAME/exec`
pub(crate) async fn create(mut call: Call, container: String) -> Result<Response, ApiError> {
    let body: Map<String, Value> = call.json().await?;
    let request = request(body, call.version)?;
    let id = call
        .blocking(move |api| api.containers.exec_create(&container, request))
        .await?;
    Ok(respond::json(StatusCode::CREATED, &Created { id }))
}

/// What is to be run, as a body says it.
pub(crate) fn request(
    mut body: Map<String, Value>,
    version: ApiVersion,
) -> Result<ExecRequest, ApiError> {
    if let Some(command @ Value::String(_)) = body.get_mut("Cmd") {
        *command = Value::Array(vec![command.take()]);
    }
    let config: ExecConfig = serde_json::from_value(Value::Object(body))
        .map_err(|error| ApiError::invalid(format!("invalid JSON: {error}")))?;
    let command = config.cmd.unwrap_or_default();
    if command.is_empty() {
        return Err(ApiError::invalid("No exec command specified"));
    }
    let size = config.console_size.filter(|_| version.at_least(42));
    Ok(ExecRequest {
        command,
        env: config.env.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        user: config.user,
        tty: config.tty.unwrap_or_default(),
        console_size: size.as_deref().and_then(TerminalSize::of),
        privileged: config.privileged.unwrap_or_default(),
        stdin: config.attach_stdin.unwrap_or_default(),
        stdout: config.attach_stdout.unwrap_or_default(),
        stderr: config.attach_stderr.unwrap_or_default(),
        detach_keys: config.detach_keys,
    })
}

/// `POST /exec/ID/start`
pub(crate) async fn start(mut call: Call, id: String) -> Result<Response, ApiError> {
    let body: StartBody = call.json().await?;
    let size = body
        .console_size
        .filter(|_| body.tty && call.version.at_least(42));
    let options = ExecStart {
        detach: body.detach,
        tty: body.tty,
        size: size.map(|[height, width]| TerminalSize {
            height: u16::try_from(height).unwrap_or(u16::MAX),
            width: u16::try_from(width).unwrap_or(u16::MAX),
        }),
    };
    if options.detach {
        call.blocking(move |api| api.containers.exec_start(&id, options))
            .await?;
        return Ok(respond::empty(StatusCode::OK));
    }
    // One that does not exist is an answer; all else goes down the stream.
    let known = id.clone();
    call.blocking(move |api| api.containers.exec_inspect(&known))
        .await?;
    let open = call.blocking_later(move |api| match api.containers.exec_start(&id, options)? {
        Some(attached) => Ok(attached),
        None => Err(ApiError::internal("the exec has no streams")),
    });
    hijack::join_later(call, body.tty, open).await
}

/// `POST /exec/ID/resize`
pub(crate) async fn resize(call: Call, id: String) -> Result<Response, ApiError> {
    let size = terminal_size(&call.query)?;
    call.blocking(move |api| api.containers.exec_resize(&id, size))
        .await?;
    Ok(respond::empty(StatusCode::OK))
}

/// `GET /exec/ID/json`
pub(crate) async fn inspect(call: Call, id: String) -> Result<Response, ApiError> {
    let exec = call
        .blocking(move |api| api.containers.exec_inspect(&id))
        .await?;
    let mut wire = serde_json::to_value(answer(exec))
        .map_err(|error| ApiError::internal(format!("an exec could not be shown: {error}")))?;
    // While it runs there is no exit code, and Docker says so.
    if let Some(fields) = wire.as_object_mut() {
        fields.entry("ExitCode").or_insert(Value::Null);
    }
    Ok(respond::ok(&wire))
}

fn answer(view: ExecView) -> ExecInspectResponse {
    let request = view.request;
    let mut words = request.command.into_iter();
    let (entrypoint, arguments) = (words.next(), words.collect());
    ExecInspectResponse {
        can_remove: Some(false),
        detach_keys: request.detach_keys,
        id: Some(view.id.to_string()),
        running: Some(view.running),
        exit_code: view.exit_code,
        process_config: Some(ProcessConfig {
            privileged: Some(request.privileged),
            user: request.user,
            tty: Some(request.tty),
            entrypoint,
            arguments: Some(arguments),
        }),
        open_stdin: Some(request.stdin),
        open_stderr: Some(request.stderr),
        open_stdout: Some(request.stdout),
        container_id: Some(view.container.to_string()),
        pid: Some(view.pid.into()),
    }
}
