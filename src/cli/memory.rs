//! Has the process give memory back after a burst of large bodies.
//!
//! Left alone, glibc's allocator takes the first large block that is freed for a habit: from then on it keeps blocks
//! of that size, and twice as much at the end of each heap. A burst of bodies of 4 MB then left the process at two to
//! three times what it had idle, for good. Fixed limits end that. glibc reads them from the environment, once, before
//! `main`, and its call to set them later is unsafe; so the process begins once more with them set. It stays the same
//! process, and other C libraries do not look.
//!
//! Other allocators were tried with the same burst: mimalloc keeps all of it while nothing is asked, and jemalloc,
//! which needs `make` to build, takes 6 KiB more for each open stream.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What glibc is told (mallopt(3)). Blocks from 512 KiB on are their own mappings, gone when they are freed; smaller
/// ones, the usual bodies among them, never cost a system call. Of a heap's free end 1 MiB is kept.
pub const LIMITS: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "524288"), ("MALLOC_TRIM_THRESHOLD_", "1048576")];

/// Begins the process once more with the limits, unless they are set already, by this or by an operator who knows
/// better. To be called before anything else has begun.
pub fn limit() {
    if !cfg!(target_env = "gnu") || LIMITS.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    // If it fails, what is lost is memory after a burst, and nothing else.
    let _ = Command::new(program).arg0(name).args(arguments).envs(LIMITS).exec();
}
