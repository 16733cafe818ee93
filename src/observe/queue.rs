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
mod tests;
