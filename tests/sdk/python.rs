//! A Python with the pinned SDKs, made once per set of pins, and the running of scripts in it.

use cliproxy::simulator::ANSWER;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Hexadecimal digits of the pins' hash in a folder's name.
const HASH_DIGITS: usize = 16;

/// Runs a script of this folder, without the checks that need what the provider lacks.
/// The test fails with the script's output if a check of it failed.
#[track_caller]
pub fn run_script(name: &str, base_url: &str, key: &str, lacks: &str) {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let output = Command::new(PYTHON.get_or_init(python))
        .arg("-B")
        .arg(folder().join(name))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("BASE_URL", base_url)
        .env("API_KEY", key)
        .env("ANSWER", ANSWER)
        .env("LACKS", lacks)
        .output()
        .expect("the Python of the virtual environment");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{name} ended with {}:\n{all}", output.status);
    assert!(all.contains("ok "), "{name} checked nothing:\n{all}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

/// The Python that has the pinned packages; installs them if this set of pins was not yet.
fn python() -> PathBuf {
    let mut hash = String::new();
    for byte in Sha256::digest(REQUIREMENTS) {
        let _ = write!(hash, "{byte:02x}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk-venv");
    let ready = root.join(&hash[..HASH_DIGITS]);
    if !ready.exists() {
        std::fs::create_dir_all(&root).expect("a folder for the virtual environment");
        // Under a name of its own until it is whole, so that neither a torn installation nor another test
        // run is in the way. A virtual environment may be renamed as long as only its Python is called.
        let making = root.join(format!("making-{}", std::process::id()));
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&making));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
        succeed(Command::new(making.join("bin/python")).args(pip).arg(folder().join("requirements.txt")));
        if std::fs::rename(&making, &ready).is_err() {
            assert!(ready.exists(), "the virtual environment could not be put in place");
            let _ = std::fs::remove_dir_all(&making);
        }
    }
    ready.join("bin/python")
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?} ended with {}:\n{told}", output.status);
}
