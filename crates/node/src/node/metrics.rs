//! Numbers about a node.

use super::Node;
use crate::core::inspect::Inspect;
use crate::driver::lock;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// How long a reader of numbers may take, and how much it may ask.
const METRICS_PATIENCE: Duration = Duration::from_secs(2);
const METRICS_REQUEST_MAX: u64 = 1 << 14;

impl Node {
    /// Answers every HTTP request with the numbers; one at a time is enough for who looks every few seconds.
    pub(super) fn tell_metrics(&self, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(METRICS_PATIENCE));
            let _ = stream.set_write_timeout(Some(METRICS_PATIENCE));
            let mut lines = BufReader::new(Read::take(&stream, METRICS_REQUEST_MAX)).lines();
            let whole = lines.any(|line| !line.is_ok_and(|line| !line.is_empty()));
            let text = self.metrics();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                text.len()
            );
            if whole {
                let _ = (&stream).write_all((head + &text).as_bytes());
            }
        }
    }

    pub(super) fn metrics(&self) -> String {
        let programs = self.all();
        let (mut fibers, mut messages, mut words) = (0, 0, 0);
        let mut entries = lock(&self.past).fuel;
        for (_, hosted) in &programs {
            for info in hosted.running.inspect(Inspect::List) {
                fibers += 1;
                messages += info.messages;
                words += info.words;
                entries += info.fuel;
            }
        }
        let resident = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let resident = resident.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096;
        let gauges = [
            ("qualm_uptime_seconds", "gauge", "Seconds since the node started.", self.began.elapsed().as_secs()),
            ("qualm_programs", "gauge", "Programs that run.", programs.len() as u64),
            ("qualm_fibers", "gauge", "Fibers of all programs.", fibers),
            ("qualm_messages", "gauge", "Messages that wait in mailboxes.", messages as u64),
            ("qualm_fiber_bytes", "gauge", "Bytes of frames and objects of all fibers.", words as u64 * 8),
            (
                "qualm_function_entries_total",
                "counter",
                "Function entries of fibers that live and of programs that are over.",
                entries,
            ),
            ("process_resident_memory_bytes", "gauge", "Memory of the node as the system counts it.", resident),
        ];
        let lines = gauges
            .iter()
            .map(|(name, kind, help, value)| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"));
        lines.collect()
    }
}
