//! The arguments and the environment that conmon is started with.

use super::{Kind, Launch, Programs, TheirEnds};
use crate::layout::Folder;
use crate::{Result, Stdin, files};
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

impl Programs {
    /// The command that starts conmon, which inherits its ends of the pipes.
    pub(super) fn conmon_command(&self, launch: &Launch<'_>, pipes: &TheirEnds) -> Result<Command> {
        let folder = launch.folder;
        let log = folder.conmon_log();
        let stderr = files::create(&log)?;
        let mut command = Command::new(&self.conmon);
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("_OCI_STARTPIPE", number(&pipes.start))
            .env("_OCI_SYNCPIPE", number(&pipes.report))
            // Its socket for the terminal is there; by this name its address is short enough.
            .env("TMPDIR", "/proc/self/cwd")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        command.args([
            "--api-version",
            "--full-attach",
            "--no-sync-log",
            "--log-level",
            "warn",
        ]);
        let container = launch.container.to_string();
        command.args(["-c", &container, "-u", &container]);
        let option = |command: &mut Command, name: &str, value: &Path| {
            command.arg(name).arg(value);
        };
        option(&mut command, "-r", &self.runtime);
        option(&mut command, "-b", folder.path());
        option(&mut command, "-p", &folder.pid());
        option(&mut command, "-P", &folder.conmon_pid());
        option(&mut command, "--exit-dir", &launch.exits);
        self.runtime_arguments(&mut command, folder);
        match &launch.kind {
            Kind::Container => {
                command.args(["-l", "k8s-file:log"]);
            }
            Kind::Exec => {
                let attached = pipes.attached.as_ref().map(number);
                command.envs(attached.map(|number| ("_OCI_ATTACHPIPE", number)));
                command.args(["-l", "none", "-e", "--exec-attach"]);
                option(&mut command, "--exec-process-spec", &folder.process());
            }
        }
        if launch.tty {
            command.arg("-t");
        }
        match launch.stdin {
            Stdin::Closed => {}
            Stdin::Once => drop(command.arg("-i")),
            Stdin::Open => drop(command.args(["-i", "--leave-stdin-open"])),
        }
        Ok(command)
    }

    fn runtime_arguments(&self, command: &mut Command, folder: &Folder) {
        let mut argument = |value: &OsStr| {
            command.arg("--runtime-arg").arg(value);
        };
        argument(OsStr::new("--root"));
        argument(self.runtime_root.as_os_str());
        if self.is_runc {
            argument(OsStr::new("--log"));
            argument(folder.runtime_log().as_os_str());
        }
    }
}

/// A descriptor as programs are given it.
fn number(descriptor: &OwnedFd) -> String {
    descriptor.as_raw_fd().to_string()
}
