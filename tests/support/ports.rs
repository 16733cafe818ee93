//! Ports that nobody else in this test run has.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range that the kernel takes ports for clients from (32768 and up), so that these never collide.
const FIRST: u32 = 20_000;
const COUNT: u32 = 10_000;

/// A prime, so that processes with neighbouring ids start far apart.
const STRIDE: u32 = 977;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A port on which nothing listens, never given twice.
pub fn free_port() -> u16 {
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(taken < COUNT, "all {COUNT} ports were handed out");
        let offset = (std::process::id() % COUNT * STRIDE + taken) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
