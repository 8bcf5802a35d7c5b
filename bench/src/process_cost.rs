//! What a process has used so far, from the kernel's own books (Linux).

use std::{fs, io};

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessCost {
    /// User and system time of all its threads, in microseconds.
    pub cpu_micros: u64,
    /// Peak resident memory, in KiB.
    pub peak_rss_kib: u64,
}

/// A tick of `/proc/<pid>/stat`, in microseconds.
const TICK_MICROS: u64 = 10_000;

/// Reads `/proc/<pid>`: `schedstat` of each living thread counts nanoseconds; `stat` counts ticks of
/// 10 ms, those of threads that have ended too. The greater is told.
///
/// # Errors
/// When the process is gone.
pub fn of(pid: u32) -> io::Result<ProcessCost> {
    let mut nanos = 0_u64;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedule = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += first_number(&schedule);
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may hold anything: user and system time are the 12th and 13th.
    let times = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = times
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(first_number)
        .sum();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .map_or(0, first_number);
    Ok(ProcessCost {
        cpu_micros: (nanos / 1000).max(ticks * TICK_MICROS),
        peak_rss_kib: peak,
    })
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or_default()
}

/// The median of some measurements.
#[must_use]
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
