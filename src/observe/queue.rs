//! Holds log lines until one thread has written them, so that a log whose reader is slow or stuck stops no
//! request.
//!
//! It decides what is held, what is dropped, when lines are written and when the drops are told. It knows
//! neither what a line says nor where it goes.
//!
//! Budget per line: one short lock, taken for a copy of the line and never across a write. To wake the writer
//! costs a busy machine more than all else about a line, and so does a write for each: after it has written,
//! the writer lets [`NAP`] pass in which lines gather, and is woken from a longer sleep only. So a line that
//! comes alone is written at once, and one among many a nap later.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long lines gather between two writes.
const NAP: Duration = Duration::from_millis(10);

/// What a queue holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Lines that may wait.
    pub(super) lines: usize,
    /// Bytes of waiting lines with which the queue counts as full.
    pub(super) bytes: usize,
    /// Bytes that one write takes, unless a single line has more. Lines wait in blocks of that size.
    pub(super) block: usize,
}

impl Bounds {
    /// The log's. Lines alone would not bound memory: the six texts of a request's line are cut at 1 KiB each,
    /// but may be six times as long when escaped, which makes 300 MiB of 8192 lines. Usual lines are short:
    /// all of them come to 3 MiB. So the log holds at most these bytes, the line that reached them, and the
    /// block that is being written. A block is what an empty pipe takes at once.
    pub(super) const LOG: Bounds = Bounds { lines: 8192, bytes: 8 << 20, block: 64 << 10 };
}

/// Lines on their way to one writer.
pub(super) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    /// The writer has something to do.
    woken: Condvar,
    /// Lines are done with, and somebody waits for that.
    settled: Condvar,
}

struct State {
    /// What waits, in order; the last takes more lines.
    waiting: VecDeque<Block>,
    lines: usize,
    bytes: usize,
    /// An empty block, so that lines that come steadily need no new memory.
    spare: Option<Block>,
    writer: Writer,
    /// Lines that were taken in, from the start.
    accepted: u64,
    /// Those of them that are done with: written, or refused by the writer.
    settled: u64,
    /// How many of them somebody waits to see done with, or once did.
    awaited: u64,
    /// Lines that were lost, from the start.
    dropped: u64,
    /// Those of them that were told of.
    told: u64,
}

/// Whole lines that are written together.
#[derive(Default)]
struct Block {
    text: Vec<u8>,
    lines: usize,
}

/// What the writer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// It writes, or is about to look what waits.
    Awake,
    /// It will look by itself, in a moment.
    Napping,
    /// It sleeps until it is woken.
    Asleep,
}

impl Queue {
    /// An empty queue.
    pub(super) const fn new(bounds: Bounds) -> Queue {
        let state = State {
            waiting: VecDeque::new(),
            lines: 0,
            bytes: 0,
            spare: None,
            writer: Writer::Awake,
            accepted: 0,
            settled: 0,
            awaited: 0,
            dropped: 0,
            told: 0,
        };
        let (woken, settled) = (Condvar::new(), Condvar::new());
        Queue { bounds, state: Mutex::new(state), woken, settled }
    }

    /// Takes a line in, with its end, or drops and counts it if the queue is full. Never waits for the writer.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines >= self.bounds.lines || state.bytes >= self.bounds.bytes {
            state.dropped += 1;
            return;
        }
        state.append(line, self.bounds.block);
        let rouses = match state.writer {
            Writer::Awake => false,
            Writer::Napping => self.is_half_full(&state),
            Writer::Asleep => true,
        };
        if rouses {
            self.wake(state);
        }
    }

    /// Writes lines for ever; `notice` makes the line that tells of so many drops.
    pub(super) fn write_to(&self, mut out: impl Write, notice: impl Fn(u64) -> Vec<u8>) -> ! {
        loop {
            for _ in 0..self.wait_filled() {
                self.write_next(&mut out, &notice);
            }
            self.nap();
        }
    }

    /// Waits until there are blocks, and says how many.
    fn wait_filled(&self) -> usize {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            state.writer = Writer::Asleep;
            state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Writer::Awake;
        state.waiting.len()
    }

    /// Lets lines gather, unless there are many, or somebody waits for them.
    fn nap(&self) {
        let mut state = self.lock();
        if state.settled >= state.awaited && !self.is_half_full(&state) {
            state.writer = Writer::Napping;
            let napping = |state: &mut State| state.writer == Writer::Napping;
            let napped = self.woken.wait_timeout_while(state, NAP, napping);
            state = napped.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.writer = Writer::Awake;
    }

    /// So full that the next nap may be too long for it.
    fn is_half_full(&self, state: &State) -> bool {
        state.lines >= self.bounds.lines.div_ceil(2) || state.bytes >= self.bounds.bytes.div_ceil(2)
    }

    /// Has the writer look now. It is told once: what is awake looks again by itself.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        state.writer = Writer::Awake;
        drop(state);
        self.woken.notify_one();
    }

    /// Writes the next block if there is one. Drops are told when nothing waits any more: told earlier, the
    /// notices would crowd out lines in the very moment when there is no room for them.
    fn write_next(&self, out: &mut impl Write, notice: &impl Fn(u64) -> Vec<u8>) {
        let Some(mut block) = self.lock().take() else { return };
        let refused = block.lines - lines_written(out, &block);
        let untold = if refused == 0 { self.untold() } else { 0 };
        let told = untold > 0 && write(out, &notice(untold)).is_ok();
        let lines = block.lines;
        block.clear();
        let mut state = self.lock();
        let is_awaited = state.settled < state.awaited;
        state.settled += lines as u64;
        state.dropped += refused as u64;
        state.told += if told { untold } else { 0 };
        // One that a long line has stretched is not kept.
        if block.text.capacity() <= self.bounds.block {
            state.spare = Some(block);
        }
        if is_awaited {
            self.settled.notify_all();
        }
    }

    /// Drops that are to be told of now.
    fn untold(&self) -> u64 {
        let state = self.lock();
        if state.waiting.is_empty() { state.dropped - state.told } else { 0 }
    }

    /// Waits until the lines taken in so far are done with, at most so long, and says whether they are.
    pub(super) fn wait_settled(&self, limit: Duration) -> bool {
        let mut state = self.lock();
        let due = state.accepted;
        state.awaited = due;
        if state.settled < due && state.writer != Writer::Awake {
            self.wake(state);
            state = self.lock();
        }
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

impl State {
    fn append(&mut self, line: &[u8], block_bytes: usize) {
        self.accepted += 1;
        self.lines += 1;
        self.bytes += line.len();
        if let Some(last) = self.waiting.back_mut()
            && last.text.len() + line.len() <= block_bytes
        {
            last.append(line);
            return;
        }
        let mut block = self.spare.take().unwrap_or_else(|| Block::with_capacity(block_bytes));
        block.append(line);
        self.waiting.push_back(block);
    }

    fn take(&mut self) -> Option<Block> {
        let block = self.waiting.pop_front()?;
        self.lines -= block.lines;
        self.bytes -= block.text.len();
        Some(block)
    }
}

impl Block {
    fn with_capacity(bytes: usize) -> Block {
        Block { text: Vec::with_capacity(bytes), lines: 0 }
    }

    fn append(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.lines += 1;
    }

    fn clear(&mut self) {
        self.text.clear();
        self.lines = 0;
    }
}

/// Writes a block, and says how many of its lines are out.
fn lines_written(out: &mut impl Write, block: &Block) -> usize {
    match write(out, &block.text) {
        Ok(()) => block.lines,
        // A line has one end, and nothing that looks like one: see `line`.
        Err(written) => memchr::memchr_iter(b'\n', &block.text[..written]).count(),
    }
}

/// Writes all of it.
///
/// # Errors
/// If it is refused: how many bytes were taken before.
fn write(out: &mut impl Write, text: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < text.len() {
        match out.write(&text[written..]) {
            Ok(0) => return Err(written),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever shares our standard error may have made it so. It is full, as one that blocks would be.
            Err(error) if error.kind() == ErrorKind::WouldBlock => pause(),
            Err(_) => return Err(written),
        }
    }
    Ok(())
}

/// The writer's thread has nothing else to do.
#[allow(clippy::disallowed_methods, reason = "on a thread of its own, which serves no request")]
fn pause() {
    std::thread::sleep(NAP);
}

#[cfg(test)]
impl Queue {
    /// What is written when all that waits is.
    pub(super) fn drained(&self, notice: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        while !self.lock().waiting.is_empty() {
            self.write_next(&mut out, &notice);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Instant;

    /// Long enough for anything that happens at all.
    const LIMIT: Duration = Duration::from_secs(10);

    fn notice(count: u64) -> Vec<u8> {
        format!("({count} dropped)\n").into_bytes()
    }

    fn push(queue: &Queue, lines: &[&str]) {
        lines.iter().for_each(|line| queue.push(format!("{line}\n").as_bytes()));
    }

    fn drained(queue: &Queue) -> String {
        String::from_utf8(queue.drained(notice)).unwrap()
    }

    fn holding(lines: usize) -> Bounds {
        Bounds { lines, ..Bounds::LOG }
    }

    /// Every line is written by itself.
    fn singly(lines: usize) -> Bounds {
        Bounds { block: 1, ..holding(lines) }
    }

    /// A queue with a thread that writes.
    fn written_to(bounds: Bounds, out: impl Write + Send + 'static) -> &'static Queue {
        let queue: &'static Queue = Box::leak(Box::new(Queue::new(bounds)));
        std::thread::spawn(move || queue.write_to(out, notice));
        queue
    }

    /// A writer that is stuck until it is given a word for each write, or the giver is gone.
    struct Gated(Receiver<()>);

    impl Write for Gated {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue whose writer waits for words.
    fn gated(bounds: Bounds) -> (&'static Queue, Sender<()>) {
        let (gate, words) = mpsc::channel();
        (written_to(bounds, Gated(words)), gate)
    }

    /// Hands on what each write takes.
    struct Told(Sender<Vec<u8>>);

    impl Write for Told {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Answers a write with the next of these: an error, or so many bytes taken; then takes all.
    struct Scripted {
        answers: std::vec::IntoIter<Result<usize, ErrorKind>>,
        taken: Vec<u8>,
    }

    impl Scripted {
        fn new(answers: Vec<Result<usize, ErrorKind>>) -> Scripted {
            Scripted { answers: answers.into_iter(), taken: Vec::new() }
        }
    }

    impl Write for Scripted {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let count = self.answers.next().unwrap_or(Ok(text.len()))?;
            self.taken.extend_from_slice(&text[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_is_stuck_for_ever_does_not_stop_who_logs() {
        let (queue, gate) = gated(singly(100));
        (0..10_000).for_each(|_| queue.push(b"x\n"));
        // The writer may have one line in its hands.
        assert!((9_899..=9_900).contains(&queue.dropped()), "{}", queue.dropped());
        assert!(!queue.wait_settled(Duration::from_millis(1)));
        drop(gate);
    }

    #[test]
    fn lines_are_written_in_the_order_in_which_they_came() {
        for bounds in [holding(3), singly(3), Bounds { block: 4, ..holding(3) }] {
            let queue = Queue::new(bounds);
            push(&queue, &["1", "2"]);
            let mut out = Vec::new();
            queue.write_next(&mut out, &notice);
            push(&queue, &["3"]);
            assert_eq!(String::from_utf8(out).unwrap() + &drained(&queue), "1\n2\n3\n");
            assert_eq!(queue.dropped(), 0);
        }
    }

    #[test]
    fn a_write_takes_whole_lines_up_to_a_block() {
        let queue = Queue::new(Bounds { block: 6, ..Bounds::LOG });
        push(&queue, &["1", "2", "3", "4", "longer", "5"]);
        let writes = std::iter::from_fn(|| {
            let mut out = Vec::new();
            queue.write_next(&mut out, &notice);
            Some(String::from_utf8(out).unwrap()).filter(|text| !text.is_empty())
        });
        assert_eq!(writes.collect::<Vec<_>>(), ["1\n2\n3\n", "4\n", "longer\n", "5\n"]);
    }

    #[test]
    fn it_is_full_with_so_many_lines() {
        let queue = Queue::new(holding(2));
        push(&queue, &["1", "2"]);
        assert_eq!(queue.dropped(), 0);
        push(&queue, &["3"]);
        assert_eq!(queue.dropped(), 1);
        assert_eq!(drained(&queue), "1\n2\n(1 dropped)\n");
        push(&queue, &["4", "5", "lost"]);
        assert_eq!(drained(&queue), "4\n5\n(1 dropped)\n", "what is written takes no room");
    }

    #[test]
    fn it_is_full_with_so_many_bytes() {
        let queue = Queue::new(Bounds { bytes: 4, ..Bounds::LOG });
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
        let queue = Queue::new(singly(2));
        push(&queue, &["1", "2", "lost", "lost"]);
        assert_eq!(drained(&queue), "1\n2\n(2 dropped)\n");
        push(&queue, &["3"]);
        assert_eq!(drained(&queue), "3\n");
        push(&queue, &["4", "5", "lost"]);
        assert_eq!(drained(&queue), "4\n5\n(1 dropped)\n");
        assert_eq!(queue.dropped(), 3);
    }

    #[test]
    fn lines_that_cannot_be_written_count_as_dropped_and_are_told_of_when_writing_works_again() {
        for bounds in [holding(3), singly(3)] {
            let queue = Queue::new(bounds);
            push(&queue, &["1", "2", "3"]);
            let mut broken = Scripted::new(vec![Err(ErrorKind::BrokenPipe); 3]);
            (0..3).for_each(|_| queue.write_next(&mut broken, &notice));
            assert_eq!(broken.taken, b"");
            assert!(queue.wait_settled(Duration::ZERO), "there is nothing left to wait for");
            assert_eq!(queue.dropped(), 3);
            push(&queue, &["4"]);
            assert_eq!(drained(&queue), "4\n(3 dropped)\n");
        }
    }

    #[test]
    fn of_a_block_that_breaks_off_only_the_lines_that_are_not_out_count_as_dropped() {
        let queue = Queue::new(Bounds::LOG);
        push(&queue, &["11", "22", "33", "44"]);
        queue.write_next(&mut Scripted::new(vec![Ok(4), Ok(3), Err(ErrorKind::BrokenPipe)]), &notice);
        assert_eq!(queue.dropped(), 2, "two lines and a part of the third were taken");
        push(&queue, &["5"]);
        queue.write_next(&mut Scripted::new(vec![Ok(0)]), &notice);
        assert_eq!(queue.dropped(), 3, "who takes nothing never will");
    }

    #[test]
    fn a_write_that_is_put_off_or_taken_in_parts_loses_nothing() {
        let queue = Queue::new(Bounds::LOG);
        push(&queue, &["1", "2"]);
        let answers = vec![Err(ErrorKind::Interrupted), Ok(1), Err(ErrorKind::WouldBlock), Ok(2)];
        let mut out = Scripted::new(answers);
        queue.write_next(&mut out, &notice);
        assert_eq!(out.taken, b"1\n2\n");
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn waiting_lasts_until_the_last_line_is_written_and_no_longer_than_its_limit() {
        let (queue, gate) = gated(singly(100));
        assert!(queue.wait_settled(Duration::ZERO), "nothing was logged");
        push(queue, &["1", "2"]);
        gate.send(()).unwrap();
        assert!(!queue.wait_settled(Duration::from_millis(1)), "the second line is not written");
        gate.send(()).unwrap();
        assert!(queue.wait_settled(LIMIT));
    }

    #[test]
    fn a_line_is_written_soon_whether_the_writer_sleeps_or_naps() {
        let (told, writes) = mpsc::channel();
        let queue = written_to(Bounds::LOG, Told(told));
        let mut waits: Vec<_> = (0..100)
            .map(|_| {
                // Nobody waits for it to be settled: that would wake the writer.
                push(queue, &["line"]);
                let pushed = Instant::now();
                assert_eq!(writes.recv_timeout(LIMIT).unwrap(), b"line\n");
                pushed.elapsed()
            })
            .collect();
        waits.sort_unstable();
        // The machine may be busy with other tests: most lines are held to it, not all.
        assert!(waits[50] < 2 * NAP, "{:?}", waits[50]);
    }

    #[test]
    fn steady_lines_share_their_writes() {
        const LINES: usize = 2000;
        let (told, writes) = mpsc::channel();
        let queue = written_to(Bounds::LOG, Told(told));
        let started = Instant::now();
        for line in 0..LINES {
            push(queue, &["line"]);
            // A line every 50 µs at most, as when there are 20,000 requests per second.
            while started.elapsed() < Duration::from_micros(50) * line as u32 {
                std::hint::spin_loop();
            }
        }
        assert!(queue.wait_settled(LIMIT));
        let naps = started.elapsed().as_nanos() / NAP.as_nanos();
        let writes = writes.try_iter().count();
        // One for the first line, which finds nobody napping, and one for who waits.
        assert!(writes as u128 <= naps + 2, "{writes} writes in {naps} naps");
    }

    #[test]
    fn of_many_lines_of_many_threads_none_is_lost_and_each_threads_are_in_order() {
        const THREADS: usize = 4;
        const LINES: usize = 25_000;
        /// As many as all threads together have room for.
        const BURST: usize = Bounds::LOG.lines / THREADS;
        let (told, writes) = mpsc::channel();
        let queue = written_to(Bounds::LOG, Told(told));
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    for line in 0..LINES {
                        queue.push(format!("{thread} {line}\n").as_bytes());
                        assert!(line % BURST < BURST - 1 || queue.wait_settled(LIMIT));
                    }
                });
            }
        });
        assert!(queue.wait_settled(LIMIT));
        assert_eq!(queue.dropped(), 0);
        let writes: Vec<_> = writes.try_iter().collect();
        assert!(writes.len() < THREADS * LINES / 100, "{} writes", writes.len());
        let text = String::from_utf8(writes.concat()).unwrap();
        for thread in 0..THREADS {
            let prefix = format!("{thread} ");
            let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
            let expected: Vec<_> = (0..LINES).map(|line| line.to_string()).collect();
            assert!(lines == expected, "thread {thread}");
        }
    }

    #[test]
    fn only_a_sleeper_is_woken_by_a_line_and_from_a_nap_half_of_what_there_is_room_for_wakes() {
        let writer_after = |found: Writer, lines: usize| {
            let queue = Queue::new(holding(10));
            queue.lock().writer = found;
            (0..lines).for_each(|_| push(&queue, &["line"]));
            queue.lock().writer
        };
        assert_eq!(writer_after(Writer::Asleep, 1), Writer::Awake);
        assert_eq!(writer_after(Writer::Napping, 4), Writer::Napping);
        assert_eq!(writer_after(Writer::Napping, 5), Writer::Awake);
    }
}
