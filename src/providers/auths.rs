//! The credentials in `auth_dir`: one YAML or JSON file each, re-read when the folder changes.
//!
//! One bad file never stops the others: it is reported with its name and line and left out. Kinds of
//! files that other tools keep there, and that we can't use, are named as what they are. The key file of a Google
//! service account is taken as Google issues it, and AWS keys by their usual names; neither has to say which provider
//! it is for. Parsing the text is the caller's ([`Parse`]): this module must not know YAML.

use super::credential::{Entry, Terms, UnsendableKey};
use super::definition::Definition;
use super::platform::Identity;
use super::service_account::{self, ServiceAccount};
use super::sigv4::AwsKeys;
use crate::domain::Secret;
use crate::settings::{Node, Problem, Problems, Setting, Timestamp, Value, settings};
use http::{HeaderName, HeaderValue};
use std::collections::BTreeMap;
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

/// Files of other kinds, known by a key of theirs and perhaps its value.
const UNSUPPORTED: &[(&str, Option<&str>, &str)] = &[
    ("type", Some("authorized_user"), "a Google user credential"),
    ("type", Some("external_account"), "a Google workload identity"),
    ("refresh_token", None, "an OAuth token"),
    ("access_token", None, "an OAuth token"),
    ("private_key", None, "a private key"),
];

settings! {
    /// How a credential in a file of its own is used.
    pub struct Usage {
        /// The provider that it is for; default, for cloud credentials: all that take such a one.
        provider: Option<String>,
        /// Its name in status, logs and metrics; default: a short hash of the key.
        label: Option<String>,
        /// Its share of the provider's requests; default 1.
        weight: u32 = Terms::DEFAULT_WEIGHT,
        /// Lower numbers first; default 100.
        priority: u32 = Terms::DEFAULT_PRIORITY,
        /// Whether it is set aside; default false.
        disabled: bool = false,
        /// Headers that go with it; default: none.
        headers: BTreeMap<String, Secret>,
        /// From when on it is not used, RFC 3339; default: never.
        expires_at: Option<Timestamp>,
    }
    check Self::check;
}

impl Usage {
    fn check(&self, node: &Node, problems: &mut Problems) {
        for (name, value) in &self.headers {
            if sendable(name, value).is_none() {
                problems.at_key("headers", |at| at.error_at(node.at("headers"), name, "can't be sent"));
            }
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            label: self.label.clone(),
            weight: self.weight,
            priority: self.priority,
            disabled: self.disabled,
            expires_at: self.expires_at.map(|end| end.0),
            headers: self.headers.iter().filter_map(|(name, value)| sendable(name, value)).collect(),
        }
    }
}

settings! {
    /// A file's own key.
    pub struct KeyPart {
        required {
            /// The key.
            api_key: Secret,
        }
    }
    check Self::check;
}

impl KeyPart {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if HeaderValue::from_str(self.api_key.expose()).is_err() {
            problems.error_at(node, "api_key", UnsendableKey.to_string());
        }
    }
}

settings! {
    /// A file's AWS keys.
    pub struct AwsPart {
        required {
            /// The name of the access key.
            aws_access_key_id: String,
            /// Its secret.
            aws_secret_access_key: Secret
        }
        /// What proves a session; default: none.
        aws_session_token: Option<Secret>,
    }
    check Self::check;
}

impl AwsPart {
    fn check(&self, node: &Node, problems: &mut Problems) {
        if !self.keys().can_be_sent() {
            problems.error(node, UnsendableKey.to_string());
        }
    }

    fn keys(&self) -> AwsKeys {
        AwsKeys {
            access_key_id: self.aws_access_key_id.clone(),
            secret_access_key: self.aws_secret_access_key.clone(),
            session_token: self.aws_session_token.clone(),
        }
    }
}

/// What a file proves its provider with.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// A key.
    Key(Secret),
    /// A Google service account.
    ServiceAccount(ServiceAccount),
    /// AWS keys.
    Aws(AwsKeys),
}

impl Proof {
    /// What it is called.
    const fn name(&self) -> &'static str {
        match self {
            Proof::Key(_) => "a key",
            Proof::ServiceAccount(_) => "a Google service account",
            Proof::Aws(_) => "an AWS access key",
        }
    }

    /// Whether a provider takes it.
    fn fits(&self, provider: &Definition) -> bool {
        match self {
            Proof::Key(_) => true,
            Proof::ServiceAccount(_) => provider.platform.identity() == Identity::ServiceAccount,
            Proof::Aws(_) => provider.platform.identity() == Identity::Aws,
        }
    }
}

/// A credential in a file of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthFile {
    /// How it is used.
    pub usage: Usage,
    /// What it is.
    pub proof: Proof,
}

impl AuthFile {
    /// Reads a file's node: what is the proof's by its own reader, all else as its usage.
    fn read(node: &Node, problems: &mut Problems) -> Option<AuthFile> {
        if node.get("type").and_then(Node::as_text) == Some(service_account::KIND) {
            return AuthFile::read_service_account(node, problems);
        }
        if node.get("aws_access_key_id").is_some() {
            let (own, rest) = split(node, |key| AwsPart::KEYS.iter().any(|known| known.name == key));
            let proof = AwsPart::read(&own, problems).map(|part| Proof::Aws(part.keys()));
            return Some(AuthFile { usage: Usage::read(&rest, problems)?, proof: proof? });
        }
        if let Some((at, kind)) = unsupported(node) {
            let message = format!("is {kind}, which is not supported; a file needs `provider` and `api_key`");
            problems.error(at, message);
            return None;
        }
        let (own, rest) = split(node, |key| KeyPart::KEYS.iter().any(|known| known.name == key));
        let proof = KeyPart::read(&own, problems).map(|part| Proof::Key(part.api_key));
        let usage = Usage::read(&rest, problems)?;
        if usage.provider.is_none() {
            problems.error_at(node, "provider", "is required: a text");
        }
        Some(AuthFile { usage, proof: proof? })
    }

    /// Google may add to its files what we need not know; a slip of the operator's is told all the same.
    fn read_service_account(node: &Node, problems: &mut Problems) -> Option<AuthFile> {
        let is_usage = |key: &str| Usage::KEYS.iter().any(|known| known.name == key);
        let (usage, rest) = split(node, is_usage);
        for entry in rest.entries().iter().filter(|it| !service_account::MEMBERS.contains(&it.key.as_str())) {
            problems.warning(&entry.value, "has a key that is not known, and not used");
        }
        let usage = Usage::read(&usage, problems);
        match ServiceAccount::from_members(|name| node.get(name).and_then(Node::as_text)) {
            Ok(account) => Some(AuthFile { usage: usage?, proof: Proof::ServiceAccount(account) }),
            Err(why) => {
                problems.error(node, format!("is the key file of a Google service account, and {why}"));
                None
            }
        }
    }

    /// Whether it is for this provider.
    fn is_for(&self, provider: &Definition) -> bool {
        let is_named = self.usage.provider.as_deref().is_none_or(|name| name == &*provider.name);
        is_named && self.proof.fits(provider)
    }

    /// The entry of the rotation, for a provider; `None` if it isn't for it, or can't be sent.
    pub fn entry(&self, provider: &Definition) -> Option<Entry> {
        if !self.is_for(provider) {
            return None;
        }
        let terms = self.usage.terms();
        match &self.proof {
            Proof::Key(key) => Entry::key(provider.key_header, key, terms).ok(),
            Proof::ServiceAccount(account) => Entry::service_account(account, terms).ok(),
            Proof::Aws(keys) => Some(provider.aws_entry(keys, terms)),
        }
    }
}

/// A map's entries whose key is so, and the others.
fn split(node: &Node, is_so: impl Fn(&str) -> bool) -> (Node, Node) {
    let part = |wanted: bool| {
        let Value::Map(entries) = &node.value else { return node.clone() };
        let entries = entries.iter().filter(|entry| is_so(&entry.key) == wanted).cloned().collect();
        Node { value: Value::Map(entries), ..*node }
    };
    (part(true), part(false))
}

fn sendable(name: &str, value: &Secret) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value.expose()).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::try_from(name).ok()?, value))
}

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

/// Which other kind of file it is, if it is a known one.
fn unsupported(node: &Node) -> Option<(&Node, &'static str)> {
    let has = |key: &str, wanted: Option<&str>| {
        node.get(key).filter(|node| match (&node.value, wanted) {
            (Value::Scalar { text, .. }, Some(wanted)) => text == wanted,
            (_, wanted) => wanted.is_none(),
        })
    };
    UNSUPPORTED.iter().find_map(|(key, value, kind)| has(key, *value).map(|at| (at, *kind)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::config::Provider as Settings;
    use crate::providers::service_account::tests::key_file;
    use crate::settings::{Entry as Field, Severity};
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::time::UNIX_EPOCH;

    /// `key: value` lines and nothing else; `config` has the real reader.
    fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
        let mut fields = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let Some((key, value)) = text.split_once(": ") else {
                problems.error_at_place(line, 1, "expected `key: value`");
                return None;
            };
            let value = Node { line, column: 1, ..Node::text(value.replace('|', "\n")) };
            fields.push(Field { key: key.to_owned(), line, column: 1, value });
        }
        Some(Node { line: 1, column: 1, value: Value::Map(fields) })
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(files: &[(&str, &str)]) -> Folder {
            let folder = Folder(tempfile::tempdir().unwrap());
            for (name, text) in files {
                folder.write(name, text);
            }
            folder
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }

        fn read(&self) -> Auths {
            Auths::read(self.0.path(), &parse).unwrap()
        }

        fn problems(&self) -> Vec<String> {
            self.read().problems.iter().map(|(file, problem)| format!("{file}:{problem}")).collect()
        }
    }

    fn provider(name: &str) -> Definition {
        let settings =
            Settings { project: Some("p".to_owned()), region: Some("r".to_owned()), ..Settings::default() };
        Definition::new(name, &settings).unwrap()
    }

    const GOOD: &str =
        "provider: claude\napi_key: sk-1\nlabel: team-a\nweight: 3\nexpires_at: 2026-12-31T00:00:00Z";

    #[test]
    fn a_file_is_a_credential_with_its_terms() {
        let auths = Folder::with(&[("a.yaml", GOOD)]).read();
        let entry = auths.entries(&provider("claude")).pop().unwrap();
        assert_eq!((&**entry.label(), entry.terms().weight, entry.terms().priority), ("team-a", 3, 100));
        assert!(entry.terms().expires_at > Some(UNIX_EPOCH));
        assert!(auths.problems.is_empty() && auths.entries(&provider("openai")).is_empty());
    }

    #[test]
    fn one_bad_file_never_stops_the_others_and_is_named_with_its_line() {
        let folder = Folder::with(&[
            ("a.yaml", GOOD),
            ("broken.yaml", "provider: claude\nnonsense"),
            ("keyless.json", "provider: claude"),
            ("typo.yml", "provider: claude\napi_key: sk-2\nwieght: 3"),
            ("z.yaml", "provider: openai\napi_key: sk-3"),
        ]);
        let read = folder.read();
        assert_eq!(read.files.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a.yaml", "z.yaml"]);
        let problems = folder.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("broken.yaml:2:1: error"), "{problems:?}");
        assert!(problems[1].starts_with("keyless.json:1:1: error: api_key: is required"), "{problems:?}");
        assert!(problems[2].contains("typo.yml:3:1") && problems[2].contains("did you mean `weight`"));
    }

    #[test]
    fn other_kinds_of_files_are_named_as_what_they_are() {
        let folder = Folder::with(&[
            ("google.json", "type: authorized_user\nclient_secret: BEGIN"),
            ("oauth.json", "access_token: ya29\nrefresh_token: 1//x"),
        ]);
        let problems = folder.problems();
        assert!(problems[0].contains("google.json:1:1") && problems[0].contains("a Google user credential"));
        assert!(problems[1].contains("an OAuth token, which is not supported"));
        assert!(problems.iter().all(|problem| !problem.contains("ya29") && !problem.contains("BEGIN")));
    }

    #[test]
    fn a_file_that_everybody_can_read_is_used_and_warned_of() {
        let folder = Folder::with(&[("a.yaml", GOOD)]);
        fs::set_permissions(folder.0.path().join("a.yaml"), Permissions::from_mode(0o644)).unwrap();
        let read = folder.read();
        assert_eq!(read.files.len(), 1);
        let severities: Vec<_> = read.problems.iter().map(|(_, problem)| problem.severity).collect();
        assert_eq!(severities, [Severity::Warning]);
    }

    #[test]
    fn keys_and_headers_that_cannot_be_sent_are_refused_without_repeating_them() {
        let folder = Folder::with(&[("a.yaml", "provider: x\napi_key: se\u{1}cret")]);
        let problems = folder.problems();
        assert!(problems[0].contains("api_key: contains characters") && !problems[0].contains("cret"));
        assert!(folder.read().files.is_empty());
    }

    #[test]
    fn hidden_files_other_endings_and_folders_are_none_of_ours() {
        let folder = Folder::with(&[(".a.yaml", "x"), ("a.yaml~", "x"), ("README.md", "x")]);
        fs::create_dir(folder.0.path().join("d.yaml")).unwrap();
        assert!(folder.problems().is_empty() && folder.read().files.is_empty());
        assert_eq!(Fingerprint::of(folder.0.path()).unwrap(), Fingerprint::default());
    }

    #[test]
    fn a_folder_that_is_not_there_holds_nothing() {
        let nowhere = Path::new("/nowhere/auths");
        assert!(Auths::read(nowhere, &parse).unwrap().files.is_empty());
        assert_eq!(Fingerprint::of(nowhere).unwrap(), Fingerprint::default());
    }

    #[test]
    fn files_over_the_size_are_not_read() {
        let filled = |size: u64| {
            let key = "x".repeat(usize::try_from(size).unwrap() - "provider: x\napi_key: ".len());
            format!("provider: x\napi_key: {key}")
        };
        let folder =
            Folder::with(&[("a.yaml", &filled(MAX_FILE_SIZE)), ("b.yaml", &filled(MAX_FILE_SIZE + 1))]);
        assert_eq!(folder.read().files.len(), 1);
        assert!(
            folder.problems()[0].contains("b.yaml") && folder.problems()[0].contains("larger than 64 KiB")
        );
    }

    #[test]
    fn files_over_the_count_are_reported() {
        let folder = Folder::with(&[]);
        for number in 0..=MAX_FILES {
            folder.write(&format!("{number:04}.yaml"), &format!("provider: x\napi_key: sk-{number}"));
        }
        assert_eq!((folder.read().files.len(), folder.problems().len()), (MAX_FILES, 1));
    }

    #[test]
    fn the_fingerprint_changes_with_every_change_and_only_then() {
        let folder = Folder::with(&[("a.yaml", GOOD)]);
        let mark = || Fingerprint::of(folder.0.path()).unwrap();
        let first = mark();
        assert_eq!(first, mark());
        folder.write("b.yaml", GOOD);
        let second = mark();
        assert_ne!(first, second);
        fs::rename(folder.0.path().join("b.yaml"), folder.0.path().join("a.yaml")).unwrap();
        let third = mark();
        assert!(third != second && third != first, "a file that took another's place");
        fs::remove_file(folder.0.path().join("a.yaml")).unwrap();
        assert_eq!(mark(), Fingerprint::default());
    }

    #[test]
    fn files_for_providers_that_do_not_exist_are_found() {
        let auths = Folder::with(&[("a.yaml", GOOD), ("b.yaml", "provider: cluade\napi_key: k")]).read();
        let claude = provider("claude");
        let strangers: Vec<_> = auths.strangers([&claude].into_iter()).collect();
        assert_eq!(
            strangers,
            [("b.yaml", "is for the provider `cluade`, which is not configured".to_owned())]
        );
    }

    /// Google's file as this reader reads it: one `key: value` a line, line breaks in values being `|`.
    fn google(extra: &str) -> String {
        let json: serde_json::Value =
            serde_json::from_str(&key_file("https://oauth2.example/token")).unwrap();
        let lines = json.as_object().unwrap().iter();
        let lines =
            lines.map(|(key, value)| format!("{key}: {}\n", value.as_str().unwrap().replace('\n', "|")));
        lines.collect::<String>() + extra
    }

    #[test]
    fn a_google_key_file_is_for_every_provider_that_takes_one() {
        let folder = Folder::with(&[("google.json", &google("weight: 2\n"))]);
        let auths = folder.read();
        assert!(auths.problems.is_empty(), "{:?}", auths.problems);
        for (name, entries) in [("vertex", 1), ("vertex-anthropic", 1), ("bedrock", 0), ("gemini", 0)] {
            assert_eq!(auths.entries(&provider(name)).len(), entries, "{name}");
        }
        let (vertex, claude) = (provider("vertex"), provider("claude"));
        assert_eq!(auths.entries(&vertex)[0].terms().weight, 2);
        assert_eq!(auths.strangers([&vertex].into_iter()).count(), 0);
        let strangers: Vec<_> = auths.strangers([&claude].into_iter()).collect();
        assert!(strangers[0].1.contains("no provider that takes one"), "{strangers:?}");
    }

    #[test]
    fn a_google_key_file_may_name_its_provider_and_says_what_it_lacks() {
        let folder = Folder::with(&[
            ("a.json", &google("provider: vertex\nnewmember: x\n")),
            ("b.json", "type: service_account\nclient_email: a@b\nprivate_key: topsecret"),
            ("c.json", &google("provider: claude\n")),
        ]);
        let auths = folder.read();
        assert!(auths.entries(&provider("vertex-anthropic")).is_empty());
        assert_eq!(auths.entries(&provider("vertex")).len(), 1);
        let problems = folder.problems();
        assert!(problems[0].contains("a.json") && problems[0].contains("warning"), "{problems:?}");
        assert!(
            problems[1].contains("b.json:1:1: error") && problems[1].contains("`private_key`"),
            "{problems:?}"
        );
        assert!(!problems.concat().contains("topsecret"));
        let (vertex, claude) = (provider("vertex"), provider("claude"));
        let strangers: Vec<_> = auths.strangers([&vertex, &claude].into_iter()).collect();
        assert_eq!(
            strangers,
            [("c.json", "is a Google service account, which the provider `claude` doesn't take".to_owned())]
        );
    }

    #[test]
    fn aws_keys_are_for_bedrock() {
        let folder = Folder::with(&[
            ("a.yaml", "aws_access_key_id: AKID\naws_secret_access_key: s\nlabel: prod"),
            ("b.yaml", "aws_access_key_id: AKID\naws_session_token: t"),
        ]);
        let auths = folder.read();
        let entries = auths.entries(&provider("bedrock"));
        assert_eq!(&**entries[0].label(), "prod");
        assert!(entries[0].covers_body() && auths.entries(&provider("vertex")).is_empty());
        assert!(folder.problems()[0].contains("aws_secret_access_key: is required"));
    }
}
