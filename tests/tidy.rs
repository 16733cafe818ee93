//! The rules of the house, held over the text of the source. `src/ARCHITECTURE.md` gives the reasons.
//!
//! Each rule is a table above and a test below. A rule that turns out wrong is changed in its table, not
//! worked around.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room and whom it may use: everything on the floors below its own, and `also`.
struct Room {
    name: &'static str,
    floor: u8,
    also: &'static [&'static str],
}

const fn room(name: &'static str, floor: u8, also: &'static [&'static str]) -> Room {
    Room { name, floor, also }
}

/// Every room, in the order of `lib.rs`.
const ROOMS: &[Room] = &[
    room("domain", 0, &[]),
    room("settings", 0, &["domain"]),
    room("balance", 1, &["stats"]),
    room("batch", 1, &[]),
    room("cache", 1, &[]),
    room("cooldown", 1, &["stats"]),
    room("health", 1, &[]),
    room("quota", 1, &[]),
    room("stats", 1, &[]),
    room("translate", 1, &[]),
    room("observe", 2, &[]),
    room("providers", 2, &[]),
    room("store", 2, &[]),
    room("alerts", 3, &[]),
    room("failover", 3, &[]),
    // The gateway's port answers operations calls too.
    room("gateway", 3, &["operations"]),
    room("operations", 3, &[]),
    room("simulator", 3, &[]),
    room("config", 4, &[]),
    room("app", 4, &["config"]),
    room("cli", 4, &["app", "config"]),
];

/// Rooms that may use even less than their floor allows: only what is listed.
const ONLY: &[(&str, &[&str])] = &[("simulator", &["domain"])];

/// What `config` may use of the rooms above the ground floor: their settings, and the names that mean something.
const COMPOSED: &[&str] = &["::config", "providers::presets", "observe::UNROUTED"];

/// A word that may stand in some places only. Prefixes are of paths under `src/`.
struct Ban {
    word: &'static str,
    only_in: &'static [&'static str],
    reason: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        word: "pingora",
        only_in: &["gateway/", "operations/service.rs", "providers/selector.rs", "app/"],
        reason: "everything else stays free of Pingora; give it what it needs as an argument",
    },
    Ban { word: "prometheus", only_in: &["observe/"], reason: "emit an event of observe instead" },
    Ban {
        word: "serde_yaml",
        only_in: &["config/"],
        reason: "only config knows YAML; take a settings::Node",
    },
    Ban {
        word: "saphyr_parser",
        only_in: &["config/"],
        reason: "only config knows YAML; take a settings::Node",
    },
    Ban {
        word: "SystemTime::now",
        only_in: &["domain/wall_clock.rs"],
        reason: "wall time enters through domain::wall_clock",
    },
    Ban { word: "wall_clock::now", only_in: ABOVE, reason: "this floor reads no clock; take `now`" },
    Ban { word: "Instant::now", only_in: ABOVE, reason: "this floor reads no clock; take `now`" },
    Ban { word: "std::env", only_in: ABOVE, reason: "this floor reads no environment" },
    Ban { word: "std::fs", only_in: ABOVE, reason: "this floor reads no files" },
    Ban { word: "std::thread", only_in: ABOVE, reason: "this floor never waits" },
    Ban { word: "tokio", only_in: ABOVE, reason: "this floor never waits" },
];

/// The rooms above the pure ones.
const ABOVE: &[&str] = &[
    "observe/",
    "providers/",
    "store/",
    "alerts/",
    "failover/",
    "gateway/",
    "operations/",
    "simulator/",
    "config/",
    "app/",
    "cli/",
];

/// Lines of a file, its tests aside.
const MAX_LINES: usize = 450;

/// Lines of `main.rs`, which decides nothing.
const MAX_MAIN_LINES: usize = 40;

/// Names that say nothing about what a type is.
const EMPTY_NAMES: &[&str] = &["Manager", "Handler", "Processor", "Helper", "Utils", "Data", "Info"];

/// Where source of ours is.
const OURS: &[&str] = &["src", "tests", "benches", "fuzz"];

/// What a visitor sees first: all of it, and nothing else.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "benches",
    "conf",
    "docker-compose.yml",
    "fuzz",
    "grafana",
    "src",
    "tests",
];

/// A source file.
struct Source {
    /// Its path under the crate: `src/gateway/mod.rs`.
    path: String,
    text: String,
}

impl Source {
    /// The room it belongs to, if it is part of one.
    fn room(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
    }

    /// Its lines, with their numbers, up to its tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.path.ends_with("/tests.rs");
        let tests = self.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        (1..).zip(if is_test { "" } else { &self.text[..tests] }.lines())
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under these folders.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut sources = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            sources.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
        }
    }
    assert!(sources.len() > 1, "no sources under {folders:?}");
    sources
}

/// Fails with all that is wrong, one line each.
#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{} to put right:\n{}", problems.len(), problems.join("\n"));
}

fn is_in_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The paths in a line that begin with `word`, as far as they are names and `::`; comments have none.
fn paths<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(word).filter_map(move |(at, _)| {
        let begins = !code[..at].ends_with(is_in_name);
        let rest = &code[at..];
        let end = rest.find(|c| !is_in_name(c) && c != ':').unwrap_or(rest.len());
        (begins && rest[..end].contains("::")).then(|| &rest[..end])
    })
}

/// Whether a room may use another, and if not, why.
fn may_use(room: &Room, path: &str) -> Result<(), String> {
    let used = path.split("::").next().unwrap_or_default();
    let Some(other) = ROOMS.iter().find(|room| room.name == used) else {
        return Err(format!("`{used}` is no room: name the room and the item, `crate::room::Item`"));
    };
    if used == room.name || room.also.contains(&used) {
        return Ok(());
    }
    if let Some((_, only)) = ONLY.iter().find(|(name, _)| *name == room.name) {
        return if only.contains(&used) { Ok(()) } else { Err(format!("{} uses {only:?} only", room.name)) };
    }
    if other.floor >= room.floor {
        return Err(format!(
            "{} is on floor {}, {used} on floor {}: take what is needed as an argument or a trait, and let app \
             plug it in",
            room.name, room.floor, other.floor
        ));
    }
    if room.name == "config" && other.floor > 0 && !COMPOSED.iter().any(|part| path.contains(part)) {
        return Err("config composes the rooms' `config` modules and knows nothing else of them".to_owned());
    }
    Ok(())
}

#[test]
fn rooms_use_only_the_floors_below() {
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        let Some(room) = source.room() else { continue };
        let Some(room) = ROOMS.iter().find(|known| known.name == room) else {
            problems
                .push(format!("{}: `{room}` is not in ROOMS of tests/tidy.rs: give it a floor", source.path));
            continue;
        };
        for (number, line) in source.lines() {
            for path in paths(line, "crate::") {
                if let Err(why) = may_use(room, &path["crate::".len()..]) {
                    problems.push(format!("{}:{number}: {path}: {why}", source.path));
                }
            }
        }
    }
    none(&problems);
}

#[test]
fn the_rules_about_imports_can_fail() {
    let verdict =
        |name: &str, path: &str| may_use(ROOMS.iter().find(|room| room.name == name).unwrap(), path);
    for (room, path) in [
        ("gateway", "operations::Port"),
        ("gateway", "domain::Failure"),
        ("config", "alerts::config::Alerts"),
        ("settings", "domain::Secret"),
        ("cli", "app::App"),
    ] {
        assert_eq!(verdict(room, path), Ok(()), "{room} and {path}");
    }
    for (room, path) in [
        ("operations", "gateway::Gateway"),
        ("domain", "settings::Node"),
        ("balance", "providers::provider::Provider"),
        ("gateway", "config::Config"),
        ("config", "gateway::Gateway"),
        ("simulator", "settings::Url"),
        ("observe", "providers::provider::Provider"),
        ("app", "cli::Cli"),
        ("gateway", "elsewhere::Thing"),
    ] {
        assert!(verdict(room, path).is_err(), "{room} and {path}");
    }
    assert_eq!(
        paths("use crate::domain::Period; // crate::app", "crate::").collect::<Vec<_>>(),
        ["crate::domain::Period"]
    );
    assert_eq!(
        paths("not_pingora::x, pingora_core::y, \"pingora\"", "pingora").collect::<Vec<_>>(),
        ["pingora_core::y"]
    );
}

#[test]
fn every_room_of_the_crate_is_in_the_table_in_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rooms: Vec<_> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(
        rooms,
        ROOMS.iter().map(|room| room.name).collect::<Vec<_>>(),
        "lib.rs and ROOMS of tests/tidy.rs"
    );
    assert!(ROOMS.is_sorted_by_key(|room| room.floor), "from the ground up");
    let page = fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap();
    for room in rooms {
        assert!(
            page.contains(&format!("[`{room}`]")),
            "src/ARCHITECTURE.md does not say what `{room}` is for"
        );
    }
}

#[test]
fn banned_words_stand_only_where_they_may() {
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        let Some(path) = source.path.strip_prefix("src/") else { continue };
        for ban in BANS.iter().filter(|ban| !ban.only_in.iter().any(|place| path.starts_with(place))) {
            for (number, _) in source.code().filter(|(_, line)| paths(line, ban.word).next().is_some()) {
                problems.push(format!("src/{path}:{number}: `{}`: {}", ban.word, ban.reason));
            }
        }
    }
    none(&problems);
}

#[test]
fn every_ban_names_places_that_exist() {
    for place in BANS.iter().flat_map(|ban| ban.only_in) {
        assert!(root().join("src").join(place).exists(), "src/{place} is gone: take it out of BANS");
    }
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let is_told = |text: &str| text.starts_with("//! ") || text.starts_with("#![doc = include_str!");
    let silent = sources(OURS).into_iter().filter(|source| !is_told(&source.text));
    none(
        &silent
            .map(|source| format!("{}: begin with `//! What this decides`", source.path))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut problems = Vec::new();
    for source in sources(OURS) {
        let lines =
            if source.path.starts_with("src/") { source.code().count() } else { source.lines().count() };
        let limit = if source.path == "src/main.rs" { MAX_MAIN_LINES - 1 } else { MAX_LINES };
        if lines > limit {
            problems.push(format!(
                "{}: {lines} lines, at most {limit}: split it by what it decides",
                source.path
            ));
        }
    }
    none(&problems);
}

#[test]
fn names_say_what_a_thing_is() {
    let mut problems = Vec::new();
    for source in sources(OURS) {
        for (number, line) in source.lines() {
            let mut words = line.split(|character| !is_in_name(character)).filter(|word| !word.is_empty());
            let declares = words.any(|word| ["struct", "enum", "trait", "type"].contains(&word));
            let name = words.next().filter(|_| declares).unwrap_or_default();
            if EMPTY_NAMES.iter().any(|empty| name.ends_with(empty)) {
                problems
                    .push(format!("{}:{number}: `{name}` could be anything: name what it is", source.path));
            }
        }
    }
    none(&problems);
}

#[test]
fn nothing_is_left_for_later() {
    // In two halves, so that this file may say what it looks for. A test that is ignored with a reason is a known
    // gap; one without is a forgotten one.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["#[ign", "ore]"], ["unimple", "mented!"]].map(|half| half.concat());
    let mut problems = Vec::new();
    for source in sources(OURS) {
        for (number, line) in source.lines() {
            for mark in marks.iter().filter(|mark| line.contains(mark.as_str())) {
                problems.push(format!("{}:{number}: {mark}: do it, or open an issue", source.path));
            }
        }
    }
    none(&problems);
}

#[test]
fn the_top_level_is_the_agreed_one() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix('/')).collect();
    let names = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let seen = names.filter(|name| !name.starts_with('.') && !ignored.contains(name.as_str()));
    let mut seen: Vec<_> = seen.collect();
    seen.sort();
    assert_eq!(seen, TOP_LEVEL, "settings of tools go into dotfiles, everything else into one of these");
}

#[test]
fn what_is_fuzzed_is_built_with_the_products_own_dependencies() {
    let lines = |manifest: &str| {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let (_, rest) = text.split_once("\n[dependencies]\n").unwrap();
        let end = rest.find("\n[").unwrap_or(rest.len());
        let is_asked = |line: &&str| line.contains(" = ");
        rest[..end].lines().filter(is_asked).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (ours, theirs) = (lines("Cargo.toml"), lines("fuzz/Cargo.toml"));
    assert!(theirs.len() > 5);
    let others: Vec<_> = theirs.difference(&ours).collect();
    assert!(others.is_empty(), "not as in Cargo.toml: {others:?}");
}

#[test]
fn every_fuzz_target_is_built_and_has_a_corpus() {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for target in fs::read_dir(root().join("fuzz/targets")).unwrap() {
        let path = target.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
        let corpus = root().join("fuzz/corpus").join(name);
        assert!(corpus.read_dir().is_ok_and(|mut inputs| inputs.next().is_some()), "{name} has no corpus");
    }
}
