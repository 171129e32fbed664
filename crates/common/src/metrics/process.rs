//! What the kernel says of this process: `man 5 proc_pid_stat`.

use super::Scrape;

/// Ticks of `/proc` in a second: the kernel tells every program 100, whatever its own clock is.
const TICKS: f64 = 100.0;

/// Adds what the kernel says of this process. Where it says nothing, nothing is added.
pub fn process(scrape: &Scrape) {
    if let Some(stat) =
        std::fs::read_to_string("/proc/self/stat").ok().and_then(|text| fields(&text))
    {
        let page = rustix::param::page_size() as f64;
        // Fields are counted from 1 there, and the first two are left out here.
        let field = |number: usize| stat.get(number - 3).copied().unwrap_or(0.0);
        let one = |name: &str, value: f64| scrape.add(name, [(Vec::new(), value)]);
        one("process_cpu_seconds_total", (field(14) + field(15)) / TICKS);
        one("process_threads", field(20));
        one("process_virtual_memory_bytes", field(23));
        one("process_resident_memory_bytes", field(24) * page);
        if let Some(booted) = booted() {
            one("process_start_time_seconds", booted + field(22) / TICKS);
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the listing's own.
        scrape.add("process_open_fds", [(Vec::new(), open.count().saturating_sub(1) as f64)]);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    scrape
        .add("process_max_fds", [(Vec::new(), limit.map_or(f64::INFINITY, |limit| limit as f64))]);
}

/// The numbers after the name of the program, which may have blanks and brackets in it.
fn fields(stat: &str) -> Option<Vec<f64>> {
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect())
}

/// When the machine started, seconds since 1970.
fn booted() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_hides_no_field() {
        let read = fields("7 (a) b) S 1 7 7").expect("fields");
        assert_eq!(read, [0.0, 1.0, 7.0, 7.0]);
    }

    #[test]
    fn this_process_has_memory_and_has_started() {
        let scrape = Scrape::new();
        process(&scrape);
        let text = scrape.text();
        for name in ["process_resident_memory_bytes", "process_start_time_seconds"] {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            let value: f64 = line.expect("told").parse().expect("a number");
            assert!(value > 1_000_000.0, "{name} {value}");
        }
    }
}
