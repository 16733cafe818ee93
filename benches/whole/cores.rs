//! Which cores the servers have, and which the load and the mock upstream before them.
//!
//! On shared cores a figure depends on who happens to run where: by more than what is to be told apart. A server has one
//! worker thread, and so a core to itself. Bound by `taskset` of util-linux; where that is missing, or there is one core
//! only, everything runs everywhere, and the bench says so.

use crate::servers::installed;
use std::fmt::{self, Display, Formatter};
use std::fs;

/// The cores of both sides, if they can be kept apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// The servers' one, and the list of all others.
    Apart {
        /// Of the server that is measured.
        server: usize,
        /// Of the load and the mock upstream, as `taskset` takes it.
        load: String,
    },
    /// They can't.
    Shared,
}

impl Cores {
    /// Those that this process may run on, parted.
    pub fn of_this_machine() -> Cores {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        match allowed {
            Some(allowed) if installed("taskset").exists() => Cores::parted(allowed.trim()),
            _ => Cores::Shared,
        }
    }

    /// The first of a list such as `0-2,5`, and the rest of it.
    fn parted(allowed: &str) -> Cores {
        let (first, others) = allowed.split_once(',').unwrap_or((allowed, ""));
        let (server, last) = first.split_once('-').unwrap_or((first, first));
        let (Ok(server), Ok(last)) = (server.parse::<usize>(), last.parse::<usize>()) else {
            return Cores::Shared;
        };
        let rest: Vec<_> = (server + 1..=last).map(|core| core.to_string()).collect();
        let load = [rest.join(",").as_str(), others].join(",").trim_matches(',').to_owned();
        if load.is_empty() { Cores::Shared } else { Cores::Apart { server, load } }
    }

    /// What stands before a server's command.
    pub fn for_servers(&self) -> Vec<String> {
        match self {
            Cores::Apart { server, .. } => bound_to(&server.to_string()),
            Cores::Shared => Vec::new(),
        }
    }

    /// What stands before the command of this program, and so of the mock upstream.
    pub fn for_load(&self) -> Vec<String> {
        match self {
            Cores::Apart { load, .. } => bound_to(load),
            Cores::Shared => Vec::new(),
        }
    }
}

fn bound_to(list: &str) -> Vec<String> {
    ["taskset", "--cpu-list", list].map(str::to_owned).to_vec()
}

impl Display for Cores {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Cores::Apart { server, load } => {
                write!(f, "servers on core {server}, load and upstream on {load}")
            }
            Cores::Shared => f.write_str("all on the same cores, so that the figures are rough"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_core_is_the_servers_and_the_rest_is_the_loads() {
        for (allowed, expected) in [
            ("0-1", Some((0, "1"))),
            ("0-3", Some((0, "1,2,3"))),
            ("2,5-7", Some((2, "5-7"))),
            ("1-2,4", Some((1, "2,4"))),
        ] {
            let expected =
                expected.map(|(server, load): (usize, &str)| Cores::Apart { server, load: load.to_owned() });
            assert_eq!(Some(Cores::parted(allowed)), expected, "{allowed}");
        }
        assert_eq!(Cores::parted("0"), Cores::Shared);
        assert_eq!(Cores::parted(""), Cores::Shared);
    }
}
