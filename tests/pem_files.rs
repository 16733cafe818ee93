//! Files of certificates and keys that are no good are named at the start, and by `cliproxy check`.

use crate::support::{Authority, Launch};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

fn server(cert: &Path, key: &Path) -> String {
    let tls = format!("{{cert_file: {}, key_file: {}}}", cert.display(), key.display());
    format!("server:\n  port: {{port}}\n  tls: {tls}\nproviders: {{ollama: }}\n")
}

fn provider(lines: &[(&str, &Path)]) -> String {
    let lines: String = lines.iter().map(|(key, file)| format!("    {key}: {}\n", file.display())).collect();
    format!("providers:\n  ollama:\n{lines}")
}

fn check(config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cliproxy"));
    command.arg("check").arg("--config").arg(config).output().expect("the binary")
}

#[test]
fn files_that_cannot_be_used_are_named_and_nothing_starts() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&["127.0.0.1"]), authority.issue(&["127.0.0.1"]));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let empty = file("empty.pem", "");
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\naGVsbG8=\n-----END {kind}-----\n");
    let (no_certificate, no_key) = (file("c.pem", &pem("CERTIFICATE")), file("k.pem", &pem("PRIVATE KEY")));
    let (cert, key) = (&*one.cert_file, &*one.key_file);
    let cases = [
        (server(&empty, key), "server.tls.cert_file: ", "holds no certificate in PEM form"),
        (server(&no_certificate, key), "server.tls.cert_file: ", ""),
        (server(key, key), "server.tls.cert_file: ", "holds no certificate"),
        (server(cert, &empty), "server.tls.key_file: ", "holds no private key in PEM form"),
        (server(cert, &no_key), "server.tls.", ""),
        (server(cert, &other.key_file), "server.tls.key_file: ", "is not the key of"),
        (provider(&[("ca_file", &empty)]), "providers.ollama.ca_file: ", "holds no certificate in PEM form"),
        (provider(&[("ca_file", &no_certificate)]), "providers.ollama.ca_file: ", "can't be trusted"),
        (
            provider(&[("client_cert_file", cert), ("client_key_file", &other.key_file)]),
            "providers.ollama.client_key_file: ",
            "is not the key of",
        ),
    ];
    for (yaml, named, why) in cases {
        let mut gateway = Launch::new(&yaml).spawn();
        assert_ne!(gateway.wait_exit(Duration::from_secs(10)), 0);
        let said = gateway.output();
        assert!(said.contains(named) && said.contains(why), "{yaml}{said}");
        assert!(!said.contains("panicked") && !said.contains("aGVsbG8"), "{said}");
        let checked = check(&gateway.config());
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert_eq!(checked.status.code(), Some(64), "{said}");
        assert!(said.contains(named) && said.contains(why), "{yaml}{said}");
    }
}

#[test]
fn good_files_are_good() {
    let authority = Authority::new();
    let identity = authority.issue(&["127.0.0.1"]);
    let both = format!(
        "{}  claude:\n    ca_file: {}\n",
        server(&identity.cert_file, &identity.key_file).replace("{ollama: }", "\n  ollama:"),
        authority.ca_file().display()
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, both.replace("{port}", "8317")).expect("a file");
    let checked = check(&config);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
}
