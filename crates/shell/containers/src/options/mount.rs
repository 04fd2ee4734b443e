//! Mounts, as `--mount` has them.

use super::{Pairs, Texts, settings, words};

settings! {
    /// A mount.
    MountOptions {
        target: String = "Target",
        source: String = "Source",
        kind: MountType = "Type",
        read_only: bool = "ReadOnly",
        consistency: String = "Consistency",
        bind_options: BindOptions = "BindOptions",
        volume_options: VolumeOptions = "VolumeOptions",
        image_options: ImageMountOptions = "ImageOptions",
        tmpfs_options: TmpfsOptions = "TmpfsOptions",
    }
}

words! {
    /// What is mounted.
    MountType {
        /// A folder or file of the host.
        Bind = "bind",
        /// A volume of a cluster.
        Cluster = "cluster",
        /// An image.
        Image = "image",
        /// A named pipe, on Windows.
        NamedPipe = "npipe",
        /// A file system in memory.
        Tmpfs = "tmpfs",
        /// A volume.
        Volume = "volume",
    }
}

settings! {
    /// How a folder of the host is mounted.
    BindOptions {
        propagation: PropagationMode = "Propagation",
        non_recursive: bool = "NonRecursive",
        create_mountpoint: bool = "CreateMountpoint",
        read_only_non_recursive: bool = "ReadOnlyNonRecursive",
        read_only_force_recursive: bool = "ReadOnlyForceRecursive",
    }
}

words! {
    /// Which mounts below a mount are seen on its other side.
    PropagationMode {
        /// Not said.
        Unset = "",
        /// None.
        Private = "private",
        /// None, and none further below.
        RecursivePrivate = "rprivate",
        /// Those of both sides.
        Shared = "shared",
        /// Those of both sides, and further below.
        RecursiveShared = "rshared",
        /// The host's in the container.
        Slave = "slave",
        /// The host's in the container, and further below.
        RecursiveSlave = "rslave",
    }
}

settings! {
    /// How a volume is mounted.
    VolumeOptions {
        no_copy: bool = "NoCopy",
        labels: Pairs = "Labels",
        driver_config: VolumeDriver = "DriverConfig",
        subpath: String = "Subpath",
    }
}

settings! {
    /// What makes a volume.
    VolumeDriver {
        name: String = "Name",
        options: Pairs = "Options",
    }
}

settings! {
    /// How an image is mounted.
    ImageMountOptions {
        subpath: String = "Subpath",
    }
}

settings! {
    /// A file system in memory.
    TmpfsOptions {
        size_bytes: i64 = "SizeBytes",
        mode: i64 = "Mode",
        options: Vec<Texts> = "Options",
    }
}
