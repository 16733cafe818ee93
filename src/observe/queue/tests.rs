//! Lines into the queue, and what a writer gets of them, in whatever state it is.

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
