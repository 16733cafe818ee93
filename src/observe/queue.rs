//! Holds log lines until one thread has written them, so that a log whose reader is slow or stuck stops no
//! request.
//!
//! It decides what is held, what is dropped, and when the drops are told. It knows neither what a line says
//! nor where it goes. Budget per line: one short lock, taken for a copy of the line and never across a write.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines that may wait.
pub(super) const MAX_LINES: usize = 8192;

/// Bytes of waiting lines with which the queue counts as full. Lines alone would not bound memory: the
/// six texts of a request's line are cut at 1 KiB each, but may be six times as long when escaped, which
/// makes 300 MiB of [`MAX_LINES`]. Usual lines are short: all of them come to 3 MiB. So the log holds at
/// most this, the line that reached it, and the line that is being written.
pub(super) const MAX_BYTES: usize = 8 << 20;

/// Lines on their way to one writer.
pub(super) struct Queue {
    max_lines: usize,
    max_bytes: usize,
    state: Mutex<State>,
    /// There is a line where there was none.
    filled: Condvar,
    /// A line is done with.
    settled: Condvar,
}

struct State {
    waiting: VecDeque<Box<[u8]>>,
    waiting_bytes: usize,
    /// Lines that were taken in, from the start.
    accepted: u64,
    /// Those of them that are done with: written, or refused by the writer.
    settled: u64,
    /// Lines that were lost, from the start.
    dropped: u64,
    /// Those of them that were told of.
    told: u64,
}

impl Queue {
    /// An empty queue that is full with so many lines or bytes.
    pub(super) const fn new(max_lines: usize, max_bytes: usize) -> Queue {
        let state = State {
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            accepted: 0,
            settled: 0,
            dropped: 0,
            told: 0,
        };
        let (filled, settled) = (Condvar::new(), Condvar::new());
        Queue { max_lines, max_bytes, state: Mutex::new(state), filled, settled }
    }

    /// Takes a line in, or drops and counts it if the queue is full. Never waits for the writer.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() >= self.max_lines || state.waiting_bytes >= self.max_bytes {
            state.dropped += 1;
            return;
        }
        state.waiting.push_back(line.into());
        state.waiting_bytes += line.len();
        state.accepted += 1;
        // The writer sleeps only when nothing waits, and waking it is a system call.
        if state.waiting.len() == 1 {
            self.filled.notify_one();
        }
    }

    /// Writes lines for ever, each with one call; `notice` makes the line that tells of so many drops.
    pub(super) fn write_to(&self, mut out: impl Write, notice: impl Fn(u64) -> Vec<u8>) -> ! {
        loop {
            self.write_next(&mut out, &notice);
        }
    }

    /// Writes the next line once there is one. Drops are told when nothing waits any more: told earlier,
    /// the notices would crowd out lines in the very moment when there is no room for them.
    fn write_next(&self, out: &mut impl Write, notice: &impl Fn(u64) -> Vec<u8>) {
        let line = self.next();
        let written = out.write_all(&line).is_ok();
        let untold = if written { self.untold() } else { 0 };
        let told = untold > 0 && out.write_all(&notice(untold)).is_ok();
        let mut state = self.lock();
        state.settled += 1;
        state.dropped += u64::from(!written);
        state.told += if told { untold } else { 0 };
        self.settled.notify_all();
    }

    fn next(&self) -> Box<[u8]> {
        let mut state = self.lock();
        loop {
            if let Some(line) = state.waiting.pop_front() {
                state.waiting_bytes -= line.len();
                return line;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops that are to be told of now.
    fn untold(&self) -> u64 {
        let state = self.lock();
        if state.waiting.is_empty() { state.dropped - state.told } else { 0 }
    }

    /// Waits until the lines taken in so far are done with, at most so long, and says whether they are.
    pub(super) fn wait_settled(&self, limit: Duration) -> bool {
        let state = self.lock();
        let due = state.accepted;
        let waited = self.settled.wait_timeout_while(state, limit, |state| state.settled < due);
        waited.unwrap_or_else(PoisonError::into_inner).0.settled >= due
    }

    /// Lines that were lost, from the start: there was no room, or the writer refused them.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Nothing panics while it holds the lock, so that its state is good in any case.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every write is taken for one line, as `env_logger` makes them.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    /// Does not wait: `env_logger` flushes after every line. See [`Queue::wait_settled`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{self, Receiver};

    /// Long enough for anything that happens at all.
    const LIMIT: Duration = Duration::from_secs(10);

    fn notice(count: u64) -> Vec<u8> {
        format!("({count} dropped)\n").into_bytes()
    }

    fn push(queue: &Queue, lines: &[&str]) {
        lines.iter().for_each(|line| queue.push(format!("{line}\n").as_bytes()));
    }

    /// What is written when all that waits is.
    fn drained(queue: &Queue) -> String {
        let mut out = Vec::new();
        while !queue.lock().waiting.is_empty() {
            queue.write_next(&mut out, &notice);
        }
        String::from_utf8(out).unwrap()
    }

    /// A writer that is stuck until it is given a word for each line, or the giver is gone.
    struct Gated(Receiver<()>);

    impl Write for Gated {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue whose writer waits for words.
    fn gated(max_lines: usize) -> (&'static Queue, mpsc::Sender<()>) {
        let queue: &'static Queue = Box::leak(Box::new(Queue::new(max_lines, MAX_BYTES)));
        let (gate, words) = mpsc::channel();
        std::thread::spawn(move || queue.write_to(Gated(words), notice));
        (queue, gate)
    }

    #[test]
    fn a_writer_that_is_stuck_for_ever_does_not_stop_who_logs() {
        let (queue, gate) = gated(100);
        (0..10_000).for_each(|_| queue.push(b"x\n"));
        // The writer may have one line in its hands.
        assert!((9_899..=9_900).contains(&queue.dropped()), "{}", queue.dropped());
        assert!(!queue.wait_settled(Duration::from_millis(1)));
        drop(gate);
    }

    #[test]
    fn lines_are_written_in_the_order_in_which_they_came() {
        let queue = Queue::new(3, MAX_BYTES);
        push(&queue, &["1", "2"]);
        let mut out = Vec::new();
        queue.write_next(&mut out, &notice);
        push(&queue, &["3", "4"]);
        assert_eq!(String::from_utf8(out).unwrap() + &drained(&queue), "1\n2\n3\n4\n");
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn it_is_full_with_so_many_lines() {
        let queue = Queue::new(2, MAX_BYTES);
        push(&queue, &["1", "2"]);
        assert_eq!(queue.dropped(), 0);
        push(&queue, &["3"]);
        assert_eq!(queue.dropped(), 1);
    }

    #[test]
    fn it_is_full_with_so_many_bytes() {
        let queue = Queue::new(MAX_LINES, 4);
        push(&queue, &["12"]);
        // Any line finds room in a queue that is not full: else one would be too long for ever.
        push(&queue, &["a long one"]);
        assert_eq!(queue.dropped(), 0);
        push(&queue, &["3"]);
        assert_eq!(queue.dropped(), 1);
        assert_eq!(drained(&queue), "12\na long one\n(1 dropped)\n");
        push(&queue, &["123", "4"]);
        assert_eq!(drained(&queue), "123\n(1 dropped)\n", "what is written takes no room");
    }

    #[test]
    fn drops_are_told_once_after_what_was_there_before_them() {
        let queue = Queue::new(2, MAX_BYTES);
        push(&queue, &["1", "2", "lost", "lost"]);
        assert_eq!(drained(&queue), "1\n2\n(2 dropped)\n");
        push(&queue, &["3"]);
        assert_eq!(drained(&queue), "3\n");
        push(&queue, &["4", "5", "lost"]);
        assert_eq!(drained(&queue), "4\n5\n(1 dropped)\n");
        assert_eq!(queue.dropped(), 3);
    }

    #[test]
    fn a_line_that_cannot_be_written_counts_as_dropped_and_is_told_of_when_writing_works_again() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let queue = Queue::new(2, MAX_BYTES);
        push(&queue, &["1", "2"]);
        queue.write_next(&mut Broken, &notice);
        queue.write_next(&mut Broken, &notice);
        assert!(queue.wait_settled(Duration::ZERO), "there is nothing left to wait for");
        assert_eq!(queue.dropped(), 2);
        push(&queue, &["3"]);
        assert_eq!(drained(&queue), "3\n(2 dropped)\n");
    }

    #[test]
    fn waiting_lasts_until_the_last_line_is_written_and_no_longer_than_its_limit() {
        let (queue, gate) = gated(100);
        assert!(queue.wait_settled(Duration::ZERO), "nothing was logged");
        push(queue, &["1", "2"]);
        gate.send(()).unwrap();
        assert!(!queue.wait_settled(Duration::from_millis(1)), "the second line is not written");
        gate.send(()).unwrap();
        assert!(queue.wait_settled(LIMIT));
    }
}
