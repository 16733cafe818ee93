//! `cliproxy check`: whether the configuration can be used, and what it comes to.

use crate::app::App;
use crate::config::{self, Loaded};
use crate::settings::{Problem, Severity};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a bad configuration exits with (`EX_USAGE` of sysexits.h).
pub const EXIT_BAD_CONFIG: u8 = 64;

/// Checks the configuration and prints what there is to say; the exit status is returned.
///
/// With `strict`, warnings are errors. With `effective`, a good configuration is printed as it is in effect,
/// defaults and all, with its secrets masked.
pub fn run(path: Option<PathBuf>, strict: bool, effective: bool) -> u8 {
    let path = config::locate(path, &config::process_environment);
    let loaded = config::load(&path, &config::process_environment);
    if let Ok(loaded) = &loaded
        && let Err(error) = App::check_files(&loaded.config)
    {
        // Nothing can be said to a terminal that is gone; the exit status still says it.
        let _ = writeln!(io::stdout(), "{}: error: {error}", path.display());
        return EXIT_BAD_CONFIG;
    }
    // Nothing can be said to a terminal that is gone; the exit status still says it.
    let written = write_report(&mut io::stdout().lock(), &path, &loaded, strict, effective);
    if is_usable(&loaded, strict) && written.is_ok() { 0 } else { EXIT_BAD_CONFIG }
}

fn is_usable(loaded: &Result<Loaded, Vec<Problem>>, strict: bool) -> bool {
    loaded.as_ref().is_ok_and(|loaded| !strict || loaded.warnings.is_empty())
}

/// Writes the report: with `effective` a good configuration's warnings are comments above its YAML.
///
/// # Errors
/// Those of `out`.
pub fn write_report(
    out: &mut impl Write,
    path: &Path,
    loaded: &Result<Loaded, Vec<Problem>>,
    strict: bool,
    effective: bool,
) -> io::Result<()> {
    let usable = is_usable(loaded, strict);
    let comment = if effective && usable { "# " } else { "" };
    let problems = match loaded {
        Ok(loaded) => &loaded.warnings,
        Err(problems) => problems,
    };
    let mut errors = 0;
    for problem in problems {
        let severity = if strict { Severity::Error } else { problem.severity };
        errors += usize::from(severity == Severity::Error);
        writeln!(out, "{comment}{}:{}", path.display(), Problem { severity, ..problem.clone() })?;
    }
    let Ok(loaded) = loaded else {
        return writeln!(out, "{}: {}", path.display(), count(errors, problems.len()));
    };
    for part in &loaded.inactive {
        writeln!(out, "{comment}{}: note: {}: {}", path.display(), part.path, part.sentence)?;
    }
    if effective && usable {
        return out.write_all(config::effective(&loaded.config).as_bytes());
    }
    writeln!(out, "{}: {}", path.display(), count(errors, problems.len()))
}

fn count(errors: usize, problems: usize) -> String {
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match (errors, problems - errors) {
        (0, 0) => "no problems".to_owned(),
        (0, warnings) => many(warnings, "warning"),
        (errors, 0) => many(errors, "error"),
        (errors, warnings) => format!("{}, {}", many(errors, "error"), many(warnings, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, strict: bool, effective: bool) -> (String, bool) {
        let loaded = config::load_text(text, &|_| None);
        let mut out = Vec::new();
        write_report(&mut out, Path::new("c.yaml"), &loaded, strict, effective).unwrap();
        (String::from_utf8(out).unwrap(), is_usable(&loaded, strict))
    }

    #[test]
    fn every_problem_is_a_line_and_the_last_line_counts_them() {
        let (said, usable) = report("providers: {claude: }\nserver:\n  port: 0\n  tsl: 1\n", false, false);
        let lines = said.lines().collect::<Vec<_>>();
        assert!(lines[0].starts_with("c.yaml:1:19: warning: providers.claude: has no key"), "{said}");
        assert!(lines[1].starts_with("c.yaml:3:9: error: server.port: expected a port"), "{said}");
        assert!(lines[2].starts_with("c.yaml:4:3: error: server.tsl: is not a known key"), "{said}");
        assert_eq!(lines[3..], ["c.yaml: 2 errors, 1 warning"]);
        assert!(!usable);
    }

    #[test]
    fn warnings_are_errors_when_strict() {
        assert!(report("providers: {claude: }", false, false).1);
        let (said, usable) = report("providers: {claude: }", true, false);
        assert!(said.contains(": error: providers.claude") && said.ends_with("c.yaml: 1 error\n"), "{said}");
        assert!(!usable);
    }

    #[test]
    fn the_effective_configuration_is_yaml_as_a_whole() {
        let (said, _) = report("providers: {claude: }\ntracing: {enabled: false}", false, true);
        assert!(said.starts_with("# c.yaml:1:19: warning"), "{said}");
        assert!(config::load_text(&said, &|_| None).is_ok(), "{said}");
    }

    #[test]
    fn a_good_file_says_so() {
        let (said, usable) = report("providers: {ollama: }", true, false);
        assert_eq!((said.as_str(), usable), ("c.yaml: no problems\n", true));
    }
}
