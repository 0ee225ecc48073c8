//! Lines for a stream that may block, written by a thread of their own.
//!
//! The reader of a process's stderr can stop reading. A full pipe then blocks each write to it, and
//! with it a thread of the runtime, the holder of a lock, or the end of the process. So only one
//! thread writes there; all others put lines into a queue in memory and go on. The queue is bounded:
//! lines that do not fit are dropped and counted. Waiting until the queue is empty always has a time
//! limit.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

/// The most bytes that wait to be written; the thread may hold as many again.
const QUEUE_BYTES: usize = 1024 * 1024;

/// A queue of lines and the thread that writes them. Clones share both.
#[derive(Clone)]
pub struct LineQueue(Arc<SharedLines>);

struct SharedLines {
    lines: Mutex<Lines>,
    /// Notified when lines come, and when a batch of them has been written.
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// True while the thread writes a batch.
    is_writing: bool,
    /// Lines dropped since the last batch was taken.
    dropped: u64,
    /// Lines dropped or lost by a failed write, since the start.
    lost: u64,
    /// True once the process ends: its last lines are few, and must not be dropped.
    is_ending: bool,
}

impl LineQueue {
    /// Starts the thread. Once lines can be written again after some were dropped, the thread calls
    /// `after_gap` with their number.
    pub fn start(stream: impl Write + Send + 'static, after_gap: fn(u64)) -> io::Result<Self> {
        let queue = Self(Arc::new(SharedLines {
            lines: Mutex::default(),
            changed: Condvar::new(),
        }));

        let writer = queue.clone();
        let run = move || writer.write_forever(stream, after_gap);
        std::thread::Builder::new()
            .name("lines".into())
            .spawn(run)?;
        Ok(queue)
    }

    /// Adds a line with its line end. Never blocks; drops the line when the queue is full.
    pub fn push(&self, line: &[u8]) {
        let mut lines = self.0.lines.lock();
        if lines.bytes.len() + line.len() > QUEUE_BYTES && !lines.is_ending {
            lines.dropped += 1;
            lines.lost += 1;
            return;
        }

        lines.bytes.extend_from_slice(line);
        drop(lines);
        self.0.changed.notify_all();
    }

    /// Number of lines dropped or lost since the start.
    pub fn lost(&self) -> u64 {
        self.0.lines.lock().lost
    }

    /// From now on no line is dropped: the process is about to end.
    pub fn begin_end(&self) {
        self.0.lines.lock().is_ending = true;
    }

    /// Waits until all lines are written, but no longer than a limit.
    pub fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut lines = self.0.lines.lock();
        while lines.is_writing || !lines.bytes.is_empty() {
            if self.0.changed.wait_until(&mut lines, until).timed_out() {
                return;
            }
        }
    }

    fn write_forever(&self, mut stream: impl Write, after_gap: fn(u64)) {
        loop {
            let (batch, dropped) = self.next_batch();
            let written = stream.write_all(&batch).and_then(|()| stream.flush());

            let mut lines = self.0.lines.lock();
            lines.is_writing = false;
            // The reader is gone, or the disk under a file is full. Later lines may still get through,
            // so the thread goes on.
            if written.is_err() {
                let lost = batch.iter().filter(|byte| **byte == b'\n').count();
                lines.lost += lost as u64;
            }
            drop(lines);
            self.0.changed.notify_all();

            if dropped > 0 && written.is_ok() {
                after_gap(dropped);
            }
        }
    }

    /// Waits for lines and takes all of them, with the number of those that were dropped before.
    fn next_batch(&self) -> (Vec<u8>, u64) {
        let mut lines = self.0.lines.lock();
        while lines.bytes.is_empty() {
            self.0.changed.wait(&mut lines);
        }
        lines.is_writing = true;
        (
            std::mem::take(&mut lines.bytes),
            std::mem::take(&mut lines.dropped),
        )
    }
}

impl Write for LineQueue {
    /// Takes the whole buffer as one line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Far longer than anything here takes.
    const SOON: Duration = Duration::from_secs(30);

    fn nothing(_: u64) {}

    /// A stream that takes one write whenever it is told to.
    struct Gate {
        open: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.open.recv().map_err(closed)?;
            self.written
                .send(bytes.to_vec())
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>, Gate) {
        let (opener, open) = mpsc::channel();
        let (written, batches) = mpsc::channel();
        (opener, batches, Gate { open, written })
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (opener, batches, stream) = gate();
        let queue = LineQueue::start(stream, nothing).expect("a thread");
        let lines: Vec<String> = (0..1_000).map(|n| format!("line {n}\n")).collect();
        lines.iter().for_each(|line| queue.push(line.as_bytes()));
        let mut out = Vec::new();
        while out.len() < lines.concat().len() {
            opener.send(()).expect("the stream is there");
            out.extend(batches.recv_timeout(SOON).expect("a batch"));
        }
        assert_eq!(String::from_utf8(out).expect("text"), lines.concat());
        queue.flush(SOON);
        assert_eq!(queue.lost(), 0);
    }

    #[test]
    fn a_stream_that_takes_nothing_holds_up_nobody_and_costs_lines_that_are_counted() {
        static TOLD: Mutex<Option<mpsc::Sender<u64>>> = Mutex::new(None);
        let (told, gaps) = mpsc::channel();
        *TOLD.lock() = Some(told);
        let after_gap = |dropped| {
            let told = TOLD.lock();
            // The test may have ended.
            let _ = told.as_ref().map(|told| told.send(dropped));
        };
        let (opener, _batches, stream) = gate();
        let queue = LineQueue::start(stream, after_gap).expect("a thread");
        let line = [b'x'; 1_024];

        // The thread has the first line in hand, and takes no other before the stream opens.
        queue.push(&line);
        let until = Instant::now() + SOON;
        let mut lines = queue.0.lines.lock();
        while !lines.is_writing {
            queue.0.changed.wait_until(
                &mut lines,
                until.min(Instant::now() + Duration::from_millis(1)),
            );
            assert!(Instant::now() < until, "the thread takes a line");
        }
        drop(lines);

        let fits = QUEUE_BYTES as u64 / 1_024;
        for _ in 0..fits + 3_000 {
            queue.push(&line);
        }
        let dropped = queue.lost();
        assert_eq!(dropped, 3_000);
        let began = Instant::now();
        queue.flush(Duration::from_millis(10));
        assert!(began.elapsed() < SOON, "a flush has a limit");

        // The reader reads again: the gap is told, once.
        opener.send(()).expect("the stream is there");
        opener.send(()).expect("the stream is there");
        queue.flush(SOON);
        assert_eq!(gaps.recv_timeout(SOON), Ok(dropped));
        assert_eq!(queue.lost(), dropped);
    }

    #[test]
    fn the_last_lines_of_a_process_are_kept_although_the_queue_is_full() {
        let (opener, batches, stream) = gate();
        let queue = LineQueue::start(stream, nothing).expect("a thread");
        for _ in 0..4 {
            queue.push(&[b'x'; QUEUE_BYTES]);
        }
        queue.begin_end();
        queue.push(b"the end\n");
        for _ in 0..2 {
            opener.send(()).expect("the stream is there");
        }
        queue.flush(SOON);
        let all: Vec<u8> = batches.try_iter().flatten().collect();
        assert!(all.ends_with(b"xthe end\n"));
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let (opener, _, stream) = gate();
        drop(opener);
        let queue = LineQueue::start(stream, nothing).expect("a thread");
        queue.push(b"one\ntwo\n");
        queue.flush(SOON);
        assert_eq!(queue.lost(), 2);
    }
}
