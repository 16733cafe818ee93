//! Folders of files, good and bad, and what is said of them.

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
    let folder = Folder::with(&[("a.yaml", &filled(MAX_FILE_SIZE)), ("b.yaml", &filled(MAX_FILE_SIZE + 1))]);
    assert_eq!(folder.read().files.len(), 1);
    assert!(folder.problems()[0].contains("b.yaml") && folder.problems()[0].contains("larger than 64 KiB"));
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
    assert_eq!(strangers, [("b.yaml", "is for the provider `cluade`, which is not configured".to_owned())]);
}

/// Google's file as this reader reads it: one `key: value` a line, line breaks in values being `|`.
fn google(extra: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(&key_file("https://oauth2.example/token")).unwrap();
    let lines = json.as_object().unwrap().iter();
    let lines = lines.map(|(key, value)| format!("{key}: {}\n", value.as_str().unwrap().replace('\n', "|")));
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
