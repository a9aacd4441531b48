//! Metrics of the process itself under their conventional names, read from Linux's /proc. On other systems these
//! families are left out.

use std::fs;

use prometheus_client::{
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// Linux reports processor time in hundredths of a second on every platform (proc(5), USER_HZ).
const TICKS_A_SECOND: f64 = 100.0;

pub(super) fn register(registry: &mut Registry) {
    if let Some(bytes) = resident_bytes() {
        let bytes = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        registry.register("process_resident_memory_bytes", "Memory in use", bytes);
    }
    if let Some(seconds) = cpu_seconds() {
        registry.register("process_cpu_seconds", "Processor time used", ConstCounter::new(seconds));
    }
    if let Some(count) = open_files() {
        registry.register("process_open_fds", "Open files and sockets", ConstGauge::new(count));
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program is in parentheses and may contain any character.
    let (_, after_name) = stat.rsplit_once(") ")?;
    let ticks = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().ok());
    Some(ticks.sum::<Option<u64>>()? as f64 / TICKS_A_SECOND)
}

fn open_files() -> Option<i64> {
    i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}
