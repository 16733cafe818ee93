//! A server as the kernel sees it: started, its CPU time and memory read, ended.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running process, killed when it is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it; what it writes goes to a file, anew each time.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(command: &mut Command, output: &Path) -> io::Result<Process> {
        let output = File::create(output)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Process { child: command.spawn()? })
    }

    /// The time that its threads have had on a CPU, in user and kernel mode. From the scheduler, in
    /// nanoseconds, where the kernel tells; else in ticks of 10 ms.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(self.proc("task"))? {
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { return self.ticks() };
            nanoseconds += field(&text, 0)?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn ticks(&self) -> io::Result<Duration> {
        const TICK_MS: u64 = 10;
        let text = fs::read_to_string(self.proc("stat"))?;
        // The name, in parentheses, may have spaces. utime and stime are fields 14 and 15, the state is 3.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        Ok(Duration::from_millis((field(rest, 11)? + field(rest, 12)?) * TICK_MS))
    }

    /// Its resident memory, in KiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident_kib(&self) -> io::Result<u64> {
        let text = fs::read_to_string(self.proc("status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        field(line.unwrap_or_default(), 0)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end with that signal, by name, and waits until it has.
    ///
    /// # Errors
    /// When there is no `kill`.
    pub fn end(&mut self, signal: &str) -> io::Result<ExitStatus> {
        Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status()?;
        self.child.wait()
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn field(text: &str, number: usize) -> io::Result<u64> {
    let field = text.split_ascii_whitespace().nth(number).and_then(|field| field.parse().ok());
    field.ok_or_else(|| io::Error::other("not the form of /proc that is known"))
}
