//! A neighbour that takes every call and hangs up, at once or after a greeting, and counts the calls.
//!
//! On a thread of its own, so that a test may hold the runtime's clock still or let hours pass.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

pub struct HangUp {
    pub port: u16,
    calls: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HangUp {
    pub fn start() -> Self {
        Self::after(&[])
    }

    /// Hears the first words, says the greeting, and hangs up.
    pub fn after(greeting: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("bound").port();
        let (calls, over): (Arc<AtomicUsize>, Arc<AtomicBool>) = Default::default();
        let (counted, ended) = (calls.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            for call in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                if let (Ok(mut call), false) = (call, greeting.is_empty()) {
                    let _ = call.read(&mut [0; 1024]); // The caller may have hung up first.
                    let _ = call.write_all(greeting);
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { port, calls, over, thread: Some(thread) }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port)); // Only wakes it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // Its panic has been printed.
        }
    }
}
