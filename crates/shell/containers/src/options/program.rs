//! What runs in a container.

use super::{Names, Pairs, Texts, settings};

settings! {
    /// What runs in a container.
    Program {
        hostname: String = "Hostname",
        domainname: String = "Domainname",
        user: String = "User",
        attach_stdin: bool = "AttachStdin",
        attach_stdout: bool = "AttachStdout",
        attach_stderr: bool = "AttachStderr",
        exposed_ports: Names = "ExposedPorts",
        tty: bool = "Tty",
        open_stdin: bool = "OpenStdin",
        stdin_once: bool = "StdinOnce",
        env: Texts = "Env",
        cmd: Texts = "Cmd",
        healthcheck: HealthCheck = "Healthcheck",
        args_escaped: bool = "ArgsEscaped",
        image: String = "Image",
        volumes: Names = "Volumes",
        working_dir: String = "WorkingDir",
        entrypoint: Texts = "Entrypoint",
        network_disabled: bool = "NetworkDisabled",
        on_build: Texts = "OnBuild",
        labels: Pairs = "Labels",
        stop_signal: String = "StopSignal",
        stop_timeout: i64 = "StopTimeout",
        shell: Texts = "Shell",
    }
}

settings! {
    /// A program that would say whether the container is well. It is shown, and never run.
    HealthCheck {
        test: Texts = "Test",
        interval: i64 = "Interval",
        timeout: i64 = "Timeout",
        retries: i64 = "Retries",
        start_period: i64 = "StartPeriod",
        start_interval: i64 = "StartInterval",
    }
}
