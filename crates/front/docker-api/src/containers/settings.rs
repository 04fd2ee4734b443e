//! Docker's settings of a container, and ours: each is made of the other, field by field.
//!
//! Neither can have a field that is not here: taking them apart would not compile.

use bollard_stubs::models as docker;
use sealane_containers::options as ours;
use sealane_containers::options::Names;
use std::collections::{BTreeMap, HashMap};

/// Makes one side's value of the other side's.
pub(crate) trait Translate<T> {
    /// The value on the other side.
    fn translate(self) -> T;
}

macro_rules! same {
    ($($kind:ty),*) => {
        $(impl Translate<$kind> for $kind {
            fn translate(self) -> $kind {
                self
            }
        })*
    };
}

macro_rules! settings {
    ($docker:ident = $ours:ident { $($field:ident),* $(,)? }) => {
        settings!($docker = $ours { $($field = $field),* });
    };
    ($docker:ident = $ours:ident { $($theirs:ident = $own:ident),* $(,)? }) => {
        impl Translate<ours::$ours> for docker::$docker {
            fn translate(self) -> ours::$ours {
                let Self { $($theirs),* } = self;
                ours::$ours {
                    $($own: $theirs.translate(),)*
                    unknown: serde_json::Map::new(),
                }
            }
        }

        impl Translate<docker::$docker> for ours::$ours {
            fn translate(self) -> docker::$docker {
                let Self { $($own,)* unknown: _ } = self;
                docker::$docker { $($theirs: $own.translate()),* }
            }
        }
    };
}

macro_rules! words {
    ($docker:ident = $ours:ident { $($theirs:ident = $own:ident),* $(,)? }) => {
        impl Translate<ours::$ours> for docker::$docker {
            fn translate(self) -> ours::$ours {
                match self {
                    $(Self::$theirs => ours::$ours::$own,)*
                }
            }
        }

        impl Translate<docker::$docker> for ours::$ours {
            fn translate(self) -> docker::$docker {
                match self {
                    $(Self::$own => docker::$docker::$theirs,)*
                }
            }
        }
    };
}

same!(bool, i64, u16, usize, String);

impl<A: Translate<B>, B> Translate<Option<B>> for Option<A> {
    fn translate(self) -> Option<B> {
        self.map(Translate::translate)
    }
}

impl<A: Translate<B>, B> Translate<Vec<B>> for Vec<A> {
    fn translate(self) -> Vec<B> {
        self.into_iter().map(Translate::translate).collect()
    }
}

impl<A: Translate<B>, B> Translate<BTreeMap<String, B>> for HashMap<String, A> {
    fn translate(self) -> BTreeMap<String, B> {
        let entries = self.into_iter();
        entries
            .map(|(key, value)| (key, value.translate()))
            .collect()
    }
}

impl<A: Translate<B>, B> Translate<HashMap<String, B>> for BTreeMap<String, A> {
    fn translate(self) -> HashMap<String, B> {
        let entries = self.into_iter();
        entries
            .map(|(key, value)| (key, value.translate()))
            .collect()
    }
}

impl Translate<Names> for Vec<String> {
    fn translate(self) -> Names {
        self.into_iter().collect()
    }
}

impl Translate<Vec<String>> for Names {
    fn translate(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

settings!(
    ContainerConfig = Program {
        hostname,
        domainname,
        user,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        exposed_ports,
        tty,
        open_stdin,
        stdin_once,
        env,
        cmd,
        healthcheck,
        args_escaped,
        image,
        volumes,
        working_dir,
        entrypoint,
        network_disabled,
        on_build,
        labels,
        stop_signal,
        stop_timeout,
        shell,
    }
);

settings!(
    HealthConfig = HealthCheck {
        test,
        interval,
        timeout,
        retries,
        start_period,
        start_interval,
    }
);

settings!(
    HostConfig = HostOptions {
        cpu_shares,
        memory,
        cgroup_parent,
        blkio_weight,
        blkio_weight_device,
        blkio_device_read_bps,
        blkio_device_write_bps,
        blkio_device_read_iops,
        blkio_device_write_iops,
        cpu_period,
        cpu_quota,
        cpu_realtime_period,
        cpu_realtime_runtime,
        cpuset_cpus,
        cpuset_mems,
        devices,
        device_cgroup_rules,
        device_requests,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        nano_cpus,
        oom_kill_disable,
        init,
        pids_limit,
        ulimits,
        cpu_count,
        cpu_percent,
        io_maximum_iops,
        io_maximum_bandwidth,
        binds,
        container_id_file,
        log_config,
        network_mode,
        port_bindings,
        restart_policy,
        auto_remove,
        volume_driver,
        volumes_from,
        mounts,
        console_size,
        annotations,
        cap_add,
        cap_drop,
        cgroupns_mode,
        dns,
        dns_options,
        dns_search,
        extra_hosts,
        group_add,
        ipc_mode,
        cgroup,
        links,
        oom_score_adj,
        pid_mode,
        privileged,
        publish_all_ports,
        readonly_rootfs,
        security_opt,
        storage_opt,
        tmpfs,
        uts_mode,
        userns_mode,
        shm_size,
        sysctls,
        runtime,
        isolation,
        masked_paths,
        readonly_paths,
    }
);

settings!(PortBinding = PortBinding { host_ip, host_port });
settings!(
    RestartPolicy = RestartPolicy {
        name,
        maximum_retry_count
    }
);
settings!(HostConfigLogConfig = LogDriver { typ = name, config = options });
settings!(
    DeviceMapping = Device {
        path_on_host,
        path_in_container,
        cgroup_permissions
    }
);
settings!(
    DeviceRequest = DeviceRequest {
        driver,
        count,
        device_ids,
        capabilities,
        options
    }
);
settings!(ResourcesBlkioWeightDevice = BlockWeight { path, weight });
settings!(ThrottleDevice = BlockRate { path, rate });
settings!(ResourcesUlimits = Ulimit { name, soft, hard });

settings!(Mount = MountOptions {
    target = target, source = source, typ = kind, read_only = read_only,
    consistency = consistency, bind_options = bind_options, volume_options = volume_options,
    image_options = image_options, tmpfs_options = tmpfs_options,
});

settings!(
    MountBindOptions = BindOptions {
        propagation,
        non_recursive,
        create_mountpoint,
        read_only_non_recursive,
        read_only_force_recursive,
    }
);

settings!(
    MountVolumeOptions = VolumeOptions {
        no_copy,
        labels,
        driver_config,
        subpath
    }
);
settings!(MountVolumeOptionsDriverConfig = VolumeDriver { name, options });
settings!(MountImageOptions = ImageMountOptions { subpath });
settings!(
    MountTmpfsOptions = TmpfsOptions {
        size_bytes,
        mode,
        options
    }
);
settings!(
    EndpointIpamConfig = IpamOptions {
        ipv4_address,
        ipv6_address,
        link_local_ips
    }
);

words!(RestartPolicyNameEnum = RestartMode {
    EMPTY = Unset, NO = No, ALWAYS = Always, UNLESS_STOPPED = UnlessStopped,
    ON_FAILURE = OnFailure,
});

words!(HostConfigCgroupnsModeEnum = CgroupNamespace {
    EMPTY = Unset, PRIVATE = Private, HOST = Host,
});

words!(HostConfigIsolationEnum = Isolation {
    EMPTY = Unset, DEFAULT = Default, PROCESS = Process, HYPERV = HyperV,
});

words!(MountType = MountType {
    BIND = Bind, CLUSTER = Cluster, IMAGE = Image, NPIPE = NamedPipe, TMPFS = Tmpfs,
    VOLUME = Volume,
});

words!(MountBindOptionsPropagationEnum = PropagationMode {
    EMPTY = Unset, PRIVATE = Private, RPRIVATE = RecursivePrivate, SHARED = Shared,
    RSHARED = RecursiveShared, SLAVE = Slave, RSLAVE = RecursiveSlave,
});

/// What is asked for of an endpoint; the rest of Docker's settings says what became of one.
impl Translate<ours::EndpointOptions> for docker::EndpointSettings {
    fn translate(self) -> ours::EndpointOptions {
        ours::EndpointOptions {
            ipam_config: self.ipam_config.translate(),
            links: self.links,
            mac_address: self.mac_address,
            aliases: self.aliases,
            driver_opts: self.driver_opts.translate(),
            gw_priority: self.gw_priority,
            unknown: serde_json::Map::new(),
        }
    }
}

impl Translate<docker::EndpointSettings> for ours::EndpointOptions {
    fn translate(self) -> docker::EndpointSettings {
        let Self {
            ipam_config,
            links,
            mac_address,
            aliases,
            driver_opts,
            gw_priority,
            unknown: _,
        } = self;
        docker::EndpointSettings {
            ipam_config: ipam_config.translate(),
            links,
            mac_address,
            aliases,
            driver_opts: driver_opts.translate(),
            gw_priority,
            ..docker::EndpointSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// What release 0.1.0 stored of a container with most of the options of `docker create`.
    const RECORD: &str =
        include_str!("../../../../shell/containers/src/tests/record-of-0.1.0-all-options.json");

    #[test]
    fn what_goes_there_and_back_is_the_same() {
        let record: Value = serde_json::from_str(RECORD).unwrap();
        let config: docker::ContainerConfig =
            serde_json::from_value(record["config"].clone()).unwrap();
        let there: ours::Program = config.translate();
        let back: docker::ContainerConfig = there.translate();
        assert_eq!(serde_json::to_value(&back).unwrap(), record["config"]);
        let host: docker::HostConfig =
            serde_json::from_value(record["host_config"].clone()).unwrap();
        let there: ours::HostOptions = host.translate();
        let back: docker::HostConfig = there.translate();
        assert_eq!(serde_json::to_value(&back).unwrap(), record["host_config"]);
    }

    #[test]
    fn both_sides_have_the_same_words() {
        for mode in ["", "no", "always", "unless-stopped", "on-failure"] {
            let docker: docker::RestartPolicyNameEnum =
                serde_json::from_value(mode.into()).unwrap();
            let ours: ours::RestartMode = docker.translate();
            assert_eq!(ours.to_string(), mode);
        }
    }
}
