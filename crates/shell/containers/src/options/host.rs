//! How a container sits on the host.

use super::{MountOptions, Pairs, Texts, settings, words};
use std::collections::BTreeMap;

/// Host ports by port of the container: `80/tcp`. One without a list is not bound.
pub type PortBindings = BTreeMap<String, Option<Vec<PortBinding>>>;

settings! {
    /// How a container sits on the host.
    HostOptions {
        cpu_shares: i64 = "CpuShares",
        memory: i64 = "Memory",
        cgroup_parent: String = "CgroupParent",
        blkio_weight: u16 = "BlkioWeight",
        blkio_weight_device: Vec<BlockWeight> = "BlkioWeightDevice",
        blkio_device_read_bps: Vec<BlockRate> = "BlkioDeviceReadBps",
        blkio_device_write_bps: Vec<BlockRate> = "BlkioDeviceWriteBps",
        blkio_device_read_iops: Vec<BlockRate> = "BlkioDeviceReadIOps",
        blkio_device_write_iops: Vec<BlockRate> = "BlkioDeviceWriteIOps",
        cpu_period: i64 = "CpuPeriod",
        cpu_quota: i64 = "CpuQuota",
        cpu_realtime_period: i64 = "CpuRealtimePeriod",
        cpu_realtime_runtime: i64 = "CpuRealtimeRuntime",
        cpuset_cpus: String = "CpusetCpus",
        cpuset_mems: String = "CpusetMems",
        devices: Vec<Device> = "Devices",
        device_cgroup_rules: Texts = "DeviceCgroupRules",
        device_requests: Vec<DeviceRequest> = "DeviceRequests",
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
        log_config: LogDriver = "LogConfig",
        network_mode: String = "NetworkMode",
        port_bindings: PortBindings = "PortBindings",
        restart_policy: RestartPolicy = "RestartPolicy",
        auto_remove: bool = "AutoRemove",
        volume_driver: String = "VolumeDriver",
        volumes_from: Texts = "VolumesFrom",
        mounts: Vec<MountOptions> = "Mounts",
        console_size: Vec<usize> = "ConsoleSize",
        annotations: Pairs = "Annotations",
        cap_add: Texts = "CapAdd",
        cap_drop: Texts = "CapDrop",
        cgroupns_mode: CgroupNamespace = "CgroupnsMode",
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
        isolation: Isolation = "Isolation",
        masked_paths: Texts = "MaskedPaths",
        readonly_paths: Texts = "ReadonlyPaths",
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
        name: RestartMode = "Name",
        maximum_retry_count: i64 = "MaximumRetryCount",
    }
}

words! {
    /// When a container is started again.
    RestartMode {
        /// Not said: never.
        Unset = "",
        /// Never.
        No = "no",
        /// Always.
        Always = "always",
        /// Always, but for one that a user stopped.
        UnlessStopped = "unless-stopped",
        /// When it failed.
        OnFailure = "on-failure",
    }
}

words! {
    /// Which cgroup namespace a container has.
    CgroupNamespace {
        /// Not said.
        Unset = "",
        /// One of its own.
        Private = "private",
        /// The host's.
        Host = "host",
    }
}

words! {
    /// What keeps a container apart, on Windows.
    Isolation {
        /// Not said.
        Unset = "",
        /// The host's default.
        Default = "default",
        /// A process.
        Process = "process",
        /// A virtual machine.
        HyperV = "hyperv",
    }
}

settings! {
    /// A device of the host.
    Device {
        path_on_host: String = "PathOnHost",
        path_in_container: String = "PathInContainer",
        cgroup_permissions: String = "CgroupPermissions",
    }
}

settings! {
    /// Devices that a driver is asked for, as GPUs are.
    DeviceRequest {
        driver: String = "Driver",
        count: i64 = "Count",
        device_ids: Texts = "DeviceIDs",
        capabilities: Vec<Texts> = "Capabilities",
        options: Pairs = "Options",
    }
}

settings! {
    /// How much of a block device's time a container gets, against others.
    BlockWeight {
        path: String = "Path",
        weight: usize = "Weight",
    }
}

settings! {
    /// How fast a container may use a block device.
    BlockRate {
        path: String = "Path",
        rate: i64 = "Rate",
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
    LogDriver {
        name: String = "Type",
        options: Pairs = "Config",
    }
}
