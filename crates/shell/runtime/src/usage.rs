//! What a container uses of the host, as its cgroup counts it: cgroups of version 1 and 2.
//!
//! A hierarchy that the host does not have counts nothing, and that is no error: what is not
//! counted is zero, as with Docker.

use crate::{Result, files};
use rustix::param::clock_ticks_per_second;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const NANOSECONDS: u64 = 1_000_000_000;
/// Version 1 says this, rounded down to pages, where there is no limit.
const NO_LIMIT: u64 = i64::MAX as u64 - 0xffff;

/// What a container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time.
    pub cpu: CpuUsage,
    /// Memory.
    pub memory: MemoryUsage,
    /// Processes and threads.
    pub pids: PidsUsage,
    /// Bytes read from and written to block devices, one entry a device and direction.
    pub blocks: Vec<BlockUsage>,
}

/// Processor time, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuUsage {
    /// All of it.
    pub total: u64,
    /// In the programs themselves.
    pub user: u64,
    /// In the kernel on their behalf.
    pub system: u64,
    /// By processor, where that is counted: cgroups of version 1.
    pub per_processor: Vec<u64>,
    /// Periods of a limited share that have passed.
    pub periods: u64,
    /// Those in which the share was used up.
    pub throttled_periods: u64,
    /// How long processes had to wait for the next one.
    pub throttled: u64,
    /// What all processes of the host have used, idling included.
    pub host: u64,
    /// Processors of the host.
    pub processors: u32,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// In use now.
    pub usage: u64,
    /// The most that ever was, where that is counted.
    pub peak: Option<u64>,
    /// What may be used: the container's limit, else what the host has.
    pub limit: u64,
    /// How often the limit was met, where that is counted: cgroups of version 1.
    pub failures: Option<u64>,
    /// Everything the kernel tells of it, by its names.
    pub details: BTreeMap<String, u64>,
}

/// Processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PidsUsage {
    /// How many there are.
    pub current: u64,
    /// How many there may be.
    pub limit: Option<u64>,
}

/// Bytes moved to or from a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockUsage {
    /// The device.
    pub major: u64,
    /// The device.
    pub minor: u64,
    /// Whether they were written.
    pub written: bool,
    /// How many.
    pub bytes: u64,
}

/// Reads a file of the container's cgroup.
type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Usage {
    /// Reads the counters of a cgroup, and what they are compared with.
    pub(crate) fn read(cgroup: Files<'_>) -> Result<Self> {
        let of_host = |path: &str| {
            let path = Path::new(path);
            fs::read_to_string(path).map_err(files::failed("read", path))
        };
        let mut usage = Self::of(cgroup);
        (usage.cpu.host, usage.cpu.processors) = host_cpu(&of_host("/proc/stat")?);
        if usage.memory.limit == 0 || usage.memory.limit >= NO_LIMIT {
            usage.memory.limit = host_memory(&of_host("/proc/meminfo")?);
        }
        Ok(usage)
    }

    fn of(cgroup: Files<'_>) -> Self {
        Self {
            cpu: cpu(cgroup),
            memory: memory(cgroup),
            pids: PidsUsage {
                current: number(cgroup, "pids.current").unwrap_or_default(),
                limit: number(cgroup, "pids.max"),
            },
            blocks: blocks(cgroup),
        }
    }
}

fn cpu(cgroup: Files<'_>) -> CpuUsage {
    let stat = table(cgroup, "cpu.stat");
    let of = |key: &str| stat.get(key).copied().unwrap_or_default();
    let mut usage = CpuUsage {
        periods: of("nr_periods"),
        throttled_periods: of("nr_throttled"),
        // The first is version 2's, in microseconds, the second version 1's.
        throttled: of("throttled_usec") * 1000 + of("throttled_time"),
        ..CpuUsage::default()
    };
    if let Some(total) = number(cgroup, "cpuacct.usage") {
        let parts = table(cgroup, "cpuacct.stat");
        let part = |key: &str| from_ticks(parts.get(key).copied().unwrap_or_default());
        let each = cgroup("cpuacct.usage_percpu").unwrap_or_default();
        let each = each.split_whitespace().map_while(|text| text.parse().ok());
        usage.per_processor = each.collect();
        (usage.total, usage.user, usage.system) = (total, part("user"), part("system"));
    } else {
        usage.total = of("usage_usec") * 1000;
        usage.user = of("user_usec") * 1000;
        usage.system = of("system_usec") * 1000;
    }
    usage
}

fn memory(cgroup: Files<'_>) -> MemoryUsage {
    let first = |names: [&str; 2]| names.iter().find_map(|name| number(cgroup, name));
    MemoryUsage {
        usage: first(["memory.usage_in_bytes", "memory.current"]).unwrap_or_default(),
        peak: first(["memory.max_usage_in_bytes", "memory.peak"]),
        limit: first(["memory.limit_in_bytes", "memory.max"]).unwrap_or_default(),
        failures: number(cgroup, "memory.failcnt"),
        details: table(cgroup, "memory.stat"),
    }
}

/// Version 1 says `8:0 Read 4096`, version 2 `8:0 rbytes=4096 wbytes=0 rios=1 …`.
fn blocks(cgroup: Files<'_>) -> Vec<BlockUsage> {
    let old = cgroup("blkio.throttle.io_service_bytes_recursive");
    let text = old.or_else(|| cgroup("io.stat")).unwrap_or_default();
    text.lines().flat_map(block_line).collect()
}

fn block_line(line: &str) -> Vec<BlockUsage> {
    let mut words = line.split_whitespace();
    let device = words.next().and_then(|device| device.split_once(':'));
    let Some((Ok(major), Ok(minor))) = device.map(|(a, b)| (a.parse(), b.parse())) else {
        return Vec::new();
    };
    let entry = |written, bytes: &str| {
        Some(BlockUsage {
            major,
            minor,
            written,
            bytes: bytes.parse().ok()?,
        })
    };
    let words: Vec<&str> = words.collect();
    if let [direction @ ("Read" | "Write"), bytes] = words[..] {
        return entry(direction == "Write", bytes).into_iter().collect();
    }
    let counted = words.iter().filter_map(|word| match word.split_once('=')? {
        ("rbytes", bytes) => entry(false, bytes),
        ("wbytes", bytes) => entry(true, bytes),
        _ => None,
    });
    counted.collect()
}

/// A file that is one number; `max` is none.
fn number(cgroup: Files<'_>, file: &str) -> Option<u64> {
    cgroup(file)?.trim().parse().ok()
}

/// A file of names and numbers.
fn table(cgroup: Files<'_>, file: &str) -> BTreeMap<String, u64> {
    let text = cgroup(file).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    });
    lines.collect()
}

fn from_ticks(ticks: u64) -> u64 {
    ticks * (NANOSECONDS / clock_ticks_per_second().max(1))
}

/// The time of all processors together, and how many there are: `cpu  user nice system idle …`.
fn host_cpu(stat: &str) -> (u64, u32) {
    // The last two are part of the first two.
    const COLUMNS: usize = 8;
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let columns = all.unwrap_or_default().split_whitespace().take(COLUMNS);
    let ticks = columns.filter_map(|text| text.parse::<u64>().ok()).sum();
    let single = |line: &&str| {
        let number = line.strip_prefix("cpu").unwrap_or_default();
        number.starts_with(|c: char| c.is_ascii_digit())
    };
    let processors = stat.lines().filter(single).count();
    (
        from_ticks(ticks),
        u32::try_from(processors).unwrap_or(u32::MAX),
    )
}

/// `MemTotal:       16307348 kB`
fn host_memory(meminfo: &str) -> u64 {
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let number = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(files: &[(&str, &str)]) -> Usage {
        Usage::of(&|wanted| {
            let mut named = files.iter().filter(|(name, _)| *name == wanted);
            named.next().map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn version_1_is_read() {
        let usage = usage(&[
            ("cpuacct.usage", "5000000000\n"),
            ("cpuacct.stat", "user 300\nsystem 200\n"),
            ("cpuacct.usage_percpu", "3000000000 2000000000 \n"),
            (
                "cpu.stat",
                "nr_periods 7\nnr_throttled 2\nthrottled_time 99\n",
            ),
            ("memory.usage_in_bytes", "4096\n"),
            ("memory.max_usage_in_bytes", "8192\n"),
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory.failcnt", "0\n"),
            ("memory.stat", "cache 1\ntotal_inactive_file 2\n"),
            ("pids.current", "3\n"),
            ("pids.max", "max\n"),
            (
                "blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 512\n8:0 Write 0\n8:0 Total 512\nTotal 512\n",
            ),
        ]);
        assert_eq!(
            (usage.cpu.total, usage.cpu.user, usage.cpu.system),
            (5_000_000_000, 3_000_000_000, 2_000_000_000)
        );
        assert_eq!(usage.cpu.per_processor, [3_000_000_000, 2_000_000_000]);
        assert_eq!((usage.cpu.periods, usage.cpu.throttled), (7, 99));
        assert_eq!((usage.memory.usage, usage.memory.peak), (4096, Some(8192)));
        assert!(usage.memory.limit >= NO_LIMIT);
        assert_eq!(usage.memory.details["total_inactive_file"], 2);
        assert_eq!((usage.pids.current, usage.pids.limit), (3, None));
        assert_eq!((usage.blocks.len(), usage.blocks[0].bytes), (2, 512));
    }

    #[test]
    fn version_2_is_read() {
        let usage = usage(&[
            (
                "cpu.stat",
                "usage_usec 50\nuser_usec 30\nsystem_usec 20\nthrottled_usec 1\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("pids.current", "1\n"),
            ("pids.max", "10\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n"),
        ]);
        assert_eq!((usage.cpu.total, usage.cpu.throttled), (50_000, 1_000));
        assert_eq!((usage.memory.usage, usage.memory.limit), (4096, 0));
        assert_eq!(usage.pids.limit, Some(10));
        let moved: Vec<_> = usage.blocks.iter().map(|b| (b.written, b.bytes)).collect();
        assert_eq!(moved, [(false, 1), (true, 2)]);
    }

    #[test]
    fn the_host_is_read() {
        let stat = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 0\ncpu1 0 2\nintr 4\n";
        assert_eq!(host_cpu(stat), (from_ticks(36), 2));
        assert_eq!(
            host_memory("MemTotal:       2 kB\nMemFree: 1 kB\n"),
            2 * 1024
        );
    }
}
