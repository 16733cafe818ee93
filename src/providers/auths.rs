//! The credentials in `auth_dir`: one YAML or JSON file each, re-read when the folder changes.
//!
//! One bad file never stops the others: it is reported with its name and line and left out. What a file says is
//! [`AuthFile`]'s to understand; parsing its text is the caller's ([`Parse`]): this module must not know YAML.

mod file;
#[cfg(test)]
mod tests;

pub use self::file::{AuthFile, Proof, Usage};
use super::credential::Entry;
use super::definition::Definition;
use crate::settings::{Node, Problem, Problems, Value};
use std::fs::{self, DirEntry, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Files that are read; more are reported and left out.
pub const MAX_FILES: usize = 1_000;

/// The largest file that is read, in bytes.
pub const MAX_FILE_SIZE: u64 = 64 << 10;

/// Endings of the files that are credentials; all others are none of ours.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The permission bit that lets everybody read.
const READABLE_BY_OTHERS: u32 = 0o004;

/// Turns a file's text into a node, reporting what is wrong with it.
pub type Parse<'a> = &'a dyn Fn(&str, &mut Problems) -> Option<Node>;

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Auths {
    /// The credentials that can be used, by file name, in its order.
    pub files: Vec<(Arc<str>, AuthFile)>,
    /// What is wrong with the others, or worth a warning, by file name.
    pub problems: Vec<(Arc<str>, Problem)>,
}

impl Auths {
    /// Reads a folder. One that isn't there holds nothing; one that can't be read is an error.
    pub fn read(folder: &Path, parse: Parse<'_>) -> io::Result<Auths> {
        let mut auths = Auths::default();
        let mut found = candidates(folder)?;
        found.sort_by_key(DirEntry::file_name);
        for (position, file) in found.iter().enumerate() {
            let name: Arc<str> = file.file_name().to_string_lossy().into();
            let mut problems = Problems::new();
            if position >= MAX_FILES {
                let message = format!("only {MAX_FILES} files are read, this one is not");
                problems.error(&Node::written(Value::Null), message);
            } else if let Some(read) = read_file(&file.path(), parse, &mut problems) {
                auths.files.push((Arc::clone(&name), read));
            }
            auths.problems.extend(problems.into_sorted().into_iter().map(|p| (Arc::clone(&name), p)));
        }
        Ok(auths)
    }

    /// The credentials that are for that provider, as entries of its rotation. What can't be sent was reported when
    /// its file was read.
    pub fn entries(&self, provider: &Definition) -> Vec<Entry> {
        self.files.iter().filter_map(|(_, file)| file.entry(provider)).collect()
    }

    /// Files that no provider takes, and why: the end of a sentence about each.
    pub fn strangers<'a>(
        &'a self,
        providers: impl Iterator<Item = &'a Definition> + Clone,
    ) -> impl Iterator<Item = (&'a str, String)> {
        self.files.iter().filter_map(move |(name, file)| {
            if providers.clone().any(|provider| file.is_for(provider)) {
                return None;
            }
            let what = file.proof.name();
            let why = match &file.usage.provider {
                None => format!("is {what}, and no provider that takes one is configured"),
                Some(provider) if providers.clone().any(|it| *it.name == **provider) => {
                    format!("is {what}, which the provider `{provider}` doesn't take")
                }
                Some(provider) => format!("is for the provider `{provider}`, which is not configured"),
            };
            Some((&**name, why))
        })
    }
}

/// The files that may be credentials. Hidden ones are not: editors and Kubernetes keep theirs so.
fn candidates(folder: &Path) -> io::Result<Vec<DirEntry>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let is_ours = |file: &DirEntry| {
        let path = file.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let is_hidden = file.file_name().to_string_lossy().starts_with('.');
        !is_hidden && ending.is_some_and(|ending| ENDINGS.contains(&ending)) && path.is_file()
    };
    Ok(listed.filter_map(Result::ok).filter(is_ours).collect())
}

fn read_file(path: &Path, parse: Parse<'_>, problems: &mut Problems) -> Option<AuthFile> {
    let whole = Node::written(Value::Null);
    let read = |path| -> io::Result<(Metadata, String)> {
        let about = fs::metadata(path)?;
        if about.len() > MAX_FILE_SIZE {
            return Err(io::Error::other(format!("is larger than {} KiB", MAX_FILE_SIZE >> 10)));
        }
        Ok((about, fs::read_to_string(path)?))
    };
    let (about, text) = match read(path) {
        Ok(read) => read,
        Err(error) => {
            problems.error(&whole, format!("can't be read: {error}"));
            return None;
        }
    };
    let text = zeroize::Zeroizing::new(text);
    let node = parse(&text, problems)?;
    let read = AuthFile::read(&node, problems);
    if about.mode() & READABLE_BY_OTHERS != 0 {
        problems.warning(&whole, "can be read by every user of this machine; chmod 600 it");
    }
    read.filter(|_| !problems.has_errors())
}

/// A mark of a folder's state: it changes when a file in it is added, removed, replaced or written. Two
/// looks apart from each other are cheap: no file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The folder's state now; that of an empty folder if it isn't there.
    pub fn of(folder: &Path) -> io::Result<Fingerprint> {
        let mut marks: Vec<_> = candidates(folder)?
            .iter()
            .filter_map(|file| {
                let about = fs::metadata(file.path()).ok()?;
                let written = (about.mtime(), about.mtime_nsec());
                Some((file.file_name(), about.dev(), about.ino(), about.size(), about.mode(), written))
            })
            .collect();
        marks.sort();
        let mut hasher = DefaultHasher::new();
        marks.hash(&mut hasher);
        Ok(Fingerprint(if marks.is_empty() { 0 } else { hasher.finish() }))
    }
}
