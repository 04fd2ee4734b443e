//! What a process finds around itself: Docker's defaults, and what was asked for.

use crate::stage::{Stage, on_stage, words};
use sealane_runtime::{Mount, MountKind, ProcessSpec, Propagation, Resources, Rlimit};
use std::fs;

/// Runs a script that is to end well; returns what it printed.
fn says(stage: &Stage, spec: &ProcessSpec) -> String {
    let runtime = stage.runtime();
    let (code, out, err) = stage.run(&runtime, spec);
    assert_eq!(code, 0, "{out}{err}");
    out
}

#[test]
fn a_container_has_dockers_defaults() {
    on_stage(
        concat!(module_path!(), "::a_container_has_dockers_defaults"),
        |stage| {
            let script = "
            id -u; id -G; pwd; hostname; env | sort
            grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status
            ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj
            ls /dev | tr '\\n' ' '; df -k /dev/shm | tail -1 | awk '{print $2}'
            cat /proc/keys | wc -l; ls /proc/scsi | wc -l
            for path in /proc/sys/kernel/hostname /sys/kernel/mm/x \
                /sys/fs/cgroup/pids/pids.max; do
                touch $path
            done 2>&1
            unshare -m true 2>&1; cat /proc/1/comm
        ";
            let found = says(&stage, &stage.shell("box", script));
            let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile)
                .maximum
                .unwrap();
            let wanted = format!(
                "0\n0\n/\nbox\nHOME=/root\nHOSTNAME=box\n\
             PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\nSHLVL=1\n\
             CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n\
             CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2\n\
             1024\n{hard}\n0\n\
             fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero \
             65536\n0\n0\n\
             touch: /proc/sys/kernel/hostname: Read-only file system\n\
             touch: /sys/kernel/mm/x: Read-only file system\n\
             touch: /sys/fs/cgroup/pids/pids.max: Read-only file system\n\
             unshare: unshare(0x20000): Operation not permitted\nsh\n"
            );
            assert_eq!(found, wanted);
        },
    );
}

#[test]
fn a_container_has_what_was_asked_for() {
    on_stage(
        concat!(module_path!(), "::a_container_has_what_was_asked_for"),
        |stage| {
            let file = stage.folder.join("hosts");
            fs::write(&file, "10.0.0.1 a\n").unwrap();
            fs::create_dir(stage.folder.join("shared")).unwrap();
            let script = "
            id; pwd; hostname -f 2>&1 | head -1; cat /proc/sys/kernel/domainname; echo $A $B $HOME
            cat /etc/hosts; echo x >>/etc/hosts || echo read-only; echo new >/data/file; ls /run
            cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/core/somaxconn
            ulimit -n; ulimit -c; grep CapBnd /proc/self/status
            cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes
            touch /x 2>&1; true
        ";
            let mut spec = stage.shell("box", script);
            spec.user = "me".into();
            spec.groups = vec!["77".into()];
            spec.cwd = "/made/here".into();
            spec.domainname = "example.org".into();
            spec.env = vec!["A=1".into(), "B=".into(), "PATH=/bin".into()];
            spec.cap_add = vec!["NET_ADMIN".into()];
            spec.cap_drop = vec!["CHOWN".into()];
            spec.sysctls
                .insert("net.core.somaxconn".into(), "77".into());
            spec.rlimits = vec![
                Rlimit {
                    name: "nofile".into(),
                    soft: 100,
                    hard: 200,
                },
                Rlimit {
                    name: "core".into(),
                    soft: 0,
                    hard: 0,
                },
            ];
            spec.resources = Resources {
                pids: Some(50),
                memory: Some(64 << 20),
                ..Resources::default()
            };
            let bind = |source, destination: &str, read_only| Mount {
                destination: destination.into(),
                kind: MountKind::Bind {
                    source,
                    propagation: Propagation::Private,
                },
                read_only,
            };
            let tmpfs = MountKind::Tmpfs {
                options: vec!["size=1m".into(), "mode=1777".into()],
            };
            spec.mounts = vec![
                bind(file.clone(), "/etc/hosts", true),
                bind(stage.folder.join("shared"), "/data", false),
                Mount {
                    destination: "/run".into(),
                    kind: tmpfs,
                    read_only: false,
                },
            ];
            std::os::unix::fs::chown(stage.folder.join("shared"), Some(1000), None).unwrap();
            spec.readonly_rootfs = true;
            fs::create_dir_all(stage.rootfs.join("made/here")).unwrap();
            let found = says(&stage, &spec);
            let wanted = "\
            uid=1000(me) gid=1000(me) groups=50(logs),77,1000(me)\n/made/here\n";
            assert!(found.starts_with(wanted), "{found}");
            let rest = "example.org\n1 /home/me\n10.0.0.1 a\nread-only\n";
            assert!(found.contains(rest), "{found}");
            assert!(
                found.contains("77\n100\n0\nCapBnd:\t00000000a80435fa\n50\n67108864\n"),
                "{found}"
            );
            assert!(
                found.ends_with("touch: /x: Read-only file system\n"),
                "{found}"
            );
            assert_eq!(
                fs::read_to_string(stage.folder.join("shared/file")).unwrap(),
                "new\n"
            );
        },
    );
}

#[test]
fn a_privileged_container_has_everything() {
    on_stage(
        concat!(module_path!(), "::a_privileged_container_has_everything"),
        |stage| {
            let script = "
            grep -E '^(CapEff|Seccomp):' /proc/self/status
            mount -t tmpfs none /tmp && echo mounted
            echo /core >/proc/sys/kernel/core_pattern && echo written; ls /dev/kmsg
        ";
            let mut spec = stage.shell("box", script);
            spec.privileged = true;
            let core_pattern = fs::read("/proc/sys/kernel/core_pattern").unwrap();
            let found = says(&stage, &spec);
            fs::write("/proc/sys/kernel/core_pattern", core_pattern).unwrap();
            let own = fs::read_to_string("/proc/self/status").unwrap();
            let own = own.lines().find(|line| line.starts_with("CapPrm")).unwrap();
            let all = own.replace("CapPrm", "CapEff");
            assert_eq!(
                found,
                format!("{all}\nSeccomp:\t0\nmounted\nwritten\n/dev/kmsg\n")
            );
        },
    );
}

#[test]
fn without_a_host_name_the_hosts_is_seen() {
    on_stage(
        concat!(module_path!(), "::without_a_host_name_the_hosts_is_seen"),
        |stage| {
            let mut spec = stage.shell("box", "hostname; echo $HOSTNAME");
            spec.hostname = None;
            spec.network = None;
            let own = rustix::system::uname()
                .nodename()
                .to_str()
                .unwrap()
                .to_owned();
            assert_eq!(says(&stage, &spec), format!("{own}\n{own}\n"));
        },
    );
}

#[test]
fn programs_of_every_day_pass_the_filter() {
    on_stage(
        concat!(module_path!(), "::programs_of_every_day_pass_the_filter"),
        |stage| {
            let script = "
            set -e
            ip -4 addr show lo | grep -o 127.0.0.1
            ping -c 1 127.0.0.1 | grep -o '1 packets received'
            (echo hello | nc -l -p 4000 &) ; sleep 0.2; nc 127.0.0.1 4000 </dev/null
            mkdir /tmp/www; echo page >/tmp/www/index.html; httpd -p 8080 -h /tmp/www
            sleep 0.1; wget -q -O - http://127.0.0.1:8080/
            su me -c id; mknod /tmp/null c 1 3; chown me /tmp/null; chmod 600 /tmp/null
            ln /tmp/null /tmp/other; mv /tmp/other /tmp/third; tar c /tmp | tar t | wc -l
            date >/dev/null; dd if=/dev/zero of=/tmp/z bs=1k count=1 2>/dev/null; sync
            chroot / true; usleep 1; timeout 5 true; setsid true
        ";
            let mut spec = stage.shell("box", script);
            spec.cap_add = vec!["NET_ADMIN".into()];
            let found = says(&stage, &spec);
            let wanted = "127.0.0.1\n1 packets received\nhello\npage\nuid=1000(me) gid=1000(me) \
                      groups=50(logs),1000(me)\n";
            assert!(found.starts_with(wanted), "{found}");
        },
    );
}

#[test]
fn an_init_reaps() {
    on_stage(concat!(module_path!(), "::an_init_reaps"), |stage| {
        let script = "cat /proc/1/comm; (sleep 0.1 &) ; sleep 0.3; ps -o stat,comm | grep -c ^Z";
        let mut spec = stage.shell("box", &format!("{script}; true"));
        spec.init = true;
        let found = says(&stage, &spec);
        assert_eq!(found, "docker-init\n0\n");
    });
}

#[test]
fn want_of_memory_is_told() {
    on_stage(
        concat!(module_path!(), "::want_of_memory_is_told"),
        |stage| {
            let runtime = stage.runtime();
            let mut spec = stage.shell("box", "dd if=/dev/zero of=/dev/null bs=64M count=1");
            spec.resources = Resources {
                memory: Some(16 << 20),
                ..Resources::default()
            };
            let exits = runtime.watch_exits().unwrap();
            runtime.create(&spec).unwrap();
            runtime.start(&spec.id).unwrap();
            let exit = crate::stage::next(&exits);
            assert_eq!((exit.code, exit.oom), (137, true));
            assert!(runtime.state(&spec.id).unwrap().unwrap().oom);
            runtime.delete(&spec.id).unwrap();
        },
    );
}

#[test]
fn what_cannot_be_had_is_refused() {
    on_stage(
        concat!(module_path!(), "::what_cannot_be_had_is_refused"),
        |stage| {
            let runtime = stage.runtime();
            let mut spec = stage.shell("box", "true");
            spec.cap_add = vec!["FLY".into()];
            let error = runtime.create(&spec).unwrap_err();
            assert_eq!(
                words(&error),
                "invalid CapAdd: unknown capability: \"CAP_FLY\""
            );
            let mut spec = stage.shell("box", "true");
            spec.rlimits = vec![Rlimit {
                name: "wings".into(),
                soft: 2,
                hard: 2,
            }];
            assert_eq!(
                words(&runtime.create(&spec).unwrap_err()),
                "invalid ulimit type: wings"
            );
            let mut spec = stage.shell("box", "true");
            spec.args.clear();
            assert_eq!(
                words(&runtime.create(&spec).unwrap_err()),
                "no command specified"
            );
        },
    );
}
