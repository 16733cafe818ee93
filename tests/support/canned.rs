//! A provider that says exactly what a test has it say, byte for byte, to whatever it is asked.

use cliproxy::domain::Dialect;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it waits for a request, so that no test hangs.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One connection at a time, one request per connection.
pub struct Canned {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Canned {
    /// Answers every request with these bytes, then closes.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Canned {
        let answer = answer.into();
        Canned::serving(move |stream, _| {
            // A client that has gone needs no answer.
            let _ = stream.write_all(&answer);
        })
    }

    /// Gives each connection to a function, with the head of its request in lower case. What of the body has
    /// come with the head is lost.
    pub fn serving(serve: impl Fn(&mut TcpStream, &str) + Send + 'static) -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (heads, stopped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, stop) = (Arc::clone(&heads), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                if stop.load(Ordering::Acquire) {
                    return;
                }
                let head = read_head(&mut stream);
                kept.lock().unwrap().push(head.clone());
                serve(&mut stream, &head);
                finish(&mut stream);
            }
        });
        Canned { address, heads, stopped, thread: Some(thread) }
    }

    /// The heads of the requests so far, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Its entry under `providers:`, with further lines.
    pub fn yaml(&self, name: &str, dialect: Dialect, lines: &[&str]) -> String {
        let mut entry =
            format!("  {name}:\n    format: {dialect}\n    base_url: \"http://{}\"\n", self.address);
        for line in lines {
            entry += &format!("    {line}\n");
        }
        entry
    }
}

/// Reads up to the end of the head, byte by byte, so that the body stays in the socket.
fn read_head(stream: &mut TcpStream) -> String {
    let _ = stream.set_read_timeout(Some(TIMEOUT));
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

/// Closes so that the answer arrives: what is left unread would turn the close into a reset.
fn finish(stream: &mut TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let mut rest = [0; 4096];
    while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes the thread; one that serves somebody still is left behind.
        let _ = TcpStream::connect_timeout(&self.address, TIMEOUT);
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}
