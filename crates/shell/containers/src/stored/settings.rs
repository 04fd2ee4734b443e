//! The settings in a stored container, key by key.
//!
//! The keys are those that Docker's API had when the form was fixed, so that what a client sent can be
//! shown again. A setting that was not given is absent. What is only shown, and read by no code of
//! ours, is kept as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

type Texts = Vec<String>;
type Pairs = BTreeMap<String, String>;
/// The keys of a set; its values are `{}`.
type Set = BTreeMap<String, Map<String, Value>>;

/// A group of settings: each is a field, the type of its value, and its key.
macro_rules! settings {
    ($(#[$about:meta])* $name:ident { $($field:ident: $kind:ty = $key:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            $(
                #[serde(rename = $key, skip_serializing_if = "Option::is_none")]
                $field: Option<$kind>,
            )*
            /// What this release does not know.
            #[serde(flatten)]
            unknown: Map<String, Value>,
        }

        #[cfg(test)]
        impl $name {
            /// The keys that this release does not know.
            #[allow(dead_code, reason = "not every group is asked")]
            pub(super) fn unknown(&self) -> Vec<&str> {
                self.unknown.keys().map(String::as_str).collect()
            }
        }
    };
}

settings! {
    /// What runs in a container.
    Program {
        hostname: String = "Hostname",
        domainname: String = "Domainname",
        user: String = "User",
        attach_stdin: bool = "AttachStdin",
        attach_stdout: bool = "AttachStdout",
        attach_stderr: bool = "AttachStderr",
        exposed_ports: Set = "ExposedPorts",
        tty: bool = "Tty",
        open_stdin: bool = "OpenStdin",
        stdin_once: bool = "StdinOnce",
        env: Texts = "Env",
        cmd: Texts = "Cmd",
        healthcheck: Value = "Healthcheck",
        args_escaped: bool = "ArgsEscaped",
        image: String = "Image",
        volumes: Set = "Volumes",
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
    /// How a container sits on the host.
    Host {
        cpu_shares: i64 = "CpuShares",
        memory: i64 = "Memory",
        cgroup_parent: String = "CgroupParent",
        blkio_weight: u16 = "BlkioWeight",
        blkio_weight_device: Vec<Value> = "BlkioWeightDevice",
        blkio_device_read_bps: Vec<Value> = "BlkioDeviceReadBps",
        blkio_device_write_bps: Vec<Value> = "BlkioDeviceWriteBps",
        blkio_device_read_iops: Vec<Value> = "BlkioDeviceReadIOps",
        blkio_device_write_iops: Vec<Value> = "BlkioDeviceWriteIOps",
        cpu_period: i64 = "CpuPeriod",
        cpu_quota: i64 = "CpuQuota",
        cpu_realtime_period: i64 = "CpuRealtimePeriod",
        cpu_realtime_runtime: i64 = "CpuRealtimeRuntime",
        cpuset_cpus: String = "CpusetCpus",
        cpuset_mems: String = "CpusetMems",
        devices: Vec<Device> = "Devices",
        device_cgroup_rules: Texts = "DeviceCgroupRules",
        device_requests: Vec<Value> = "DeviceRequests",
        memory_reservation: i64 = "MemoryReservation",
        memory_swap: i64 = "MemorySwap",
        memory_swappiness: i64 = "MemorySwappiness",
        nano_cpus: i64 = "NanoCpus",
        oom_kill_disable: bool = "OomKillDisable",
        init: bool = "Init",
        pids_limit: i64 = "PidsLimit",
        ulimits: Vec<Ulimit> = "Ulimits",
        cpu_count: i64 = "CpuCount",
        cpu_percent: i64 = "CpuPercent",
        io_maximum_iops: i64 = "IOMaximumIOps",
        io_maximum_bandwidth: i64 = "IOMaximumBandwidth",
        binds: Texts = "Binds",
        container_id_file: String = "ContainerIDFile",
        log_config: LogConfig = "LogConfig",
        network_mode: String = "NetworkMode",
        port_bindings: BTreeMap<String, Option<Vec<PortBinding>>> = "PortBindings",
        restart_policy: RestartPolicy = "RestartPolicy",
        auto_remove: bool = "AutoRemove",
        volume_driver: String = "VolumeDriver",
        volumes_from: Texts = "VolumesFrom",
        mounts: Vec<Mount> = "Mounts",
        console_size: Vec<usize> = "ConsoleSize",
        annotations: Pairs = "Annotations",
        cap_add: Texts = "CapAdd",
        cap_drop: Texts = "CapDrop",
        cgroupns_mode: String = "CgroupnsMode",
        dns: Texts = "Dns",
        dns_options: Texts = "DnsOptions",
        dns_search: Texts = "DnsSearch",
        extra_hosts: Texts = "ExtraHosts",
        group_add: Texts = "GroupAdd",
        ipc_mode: String = "IpcMode",
        cgroup: String = "Cgroup",
        links: Texts = "Links",
        oom_score_adj: i64 = "OomScoreAdj",
        pid_mode: String = "PidMode",
        privileged: bool = "Privileged",
        publish_all_ports: bool = "PublishAllPorts",
        readonly_rootfs: bool = "ReadonlyRootfs",
        security_opt: Texts = "SecurityOpt",
        storage_opt: Pairs = "StorageOpt",
        tmpfs: Pairs = "Tmpfs",
        uts_mode: String = "UTSMode",
        userns_mode: String = "UsernsMode",
        shm_size: i64 = "ShmSize",
        sysctls: Pairs = "Sysctls",
        runtime: String = "Runtime",
        isolation: String = "Isolation",
        masked_paths: Texts = "MaskedPaths",
        readonly_paths: Texts = "ReadonlyPaths",
    }
}

settings! {
    /// What was asked for of an endpoint.
    Endpoint {
        ipam: Ipam = "IPAMConfig",
        links: Texts = "Links",
        mac_address: String = "MacAddress",
        aliases: Texts = "Aliases",
        driver_opts: Pairs = "DriverOpts",
        gw_priority: i64 = "GwPriority",
        network_id: String = "NetworkID",
        endpoint_id: String = "EndpointID",
        gateway: String = "Gateway",
        ip_address: String = "IPAddress",
        ip_prefix_length: i64 = "IPPrefixLen",
        ipv6_gateway: String = "IPv6Gateway",
        global_ipv6_address: String = "GlobalIPv6Address",
        global_ipv6_prefix_length: i64 = "GlobalIPv6PrefixLen",
        dns_names: Texts = "DNSNames",
    }
}

settings! {
    /// The addresses asked for.
    Ipam {
        ipv4_address: String = "IPv4Address",
        ipv6_address: String = "IPv6Address",
        link_local_addresses: Texts = "LinkLocalIPs",
    }
}

settings! {
    /// A host port.
    PortBinding {
        host_ip: String = "HostIp",
        host_port: String = "HostPort",
    }
}

settings! {
    /// Whether a container is started again.
    RestartPolicy {
        name: String = "Name",
        maximum_retry_count: i64 = "MaximumRetryCount",
    }
}

settings! {
    /// A device of the host.
    Device {
        path_on_host: String = "PathOnHost",
        path_in_container: String = "PathInContainer",
        permissions: String = "CgroupPermissions",
    }
}

settings! {
    /// A limit of a process.
    Ulimit {
        name: String = "Name",
        soft: i64 = "Soft",
        hard: i64 = "Hard",
    }
}

settings! {
    /// Where output goes.
    LogConfig {
        kind: String = "Type",
        options: Pairs = "Config",
    }
}

settings! {
    /// A mount.
    Mount {
        target: String = "Target",
        source: String = "Source",
        kind: String = "Type",
        read_only: bool = "ReadOnly",
        consistency: String = "Consistency",
        bind_options: Value = "BindOptions",
        volume_options: Value = "VolumeOptions",
        image_options: Value = "ImageOptions",
        tmpfs_options: Value = "TmpfsOptions",
    }
}
