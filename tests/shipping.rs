//! What ships beside the binary speaks of what the binary has: metrics, labels, ports, variables.

use cliproxy::config::load_text;
use cliproxy::observe::{Kind, METRICS, Metric};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dashboard() -> Value {
    serde_json::from_str(&file("grafana/dashboards/cliproxy.json")).expect("JSON")
}

/// Every PromQL text of the dashboard: what panels show and what variables are filled with.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let shown =
        panels.flat_map(|panel| panel["targets"].as_array().expect("targets")).map(|target| &target["expr"]);
    let variables = dashboard["templating"]["list"].as_array().expect("variables").iter();
    let filled = variables.filter(|variable| variable["type"] == "query").map(|variable| &variable["query"]);
    shown.chain(filled).map(|query| query.as_str().expect("a query").to_owned()).collect()
}

/// The words of a query that begin as our metrics do.
fn metrics_of(query: &str) -> Vec<&str> {
    query
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("cliproxy_") || word.starts_with("process_"))
        .collect()
}

/// The row of a series: a histogram has three series under names of their own.
fn row(series: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| match metric.kind {
        Kind::Histogram(_) => {
            ["_bucket", "_sum", "_count"].iter().any(|end| series.strip_suffix(end) == Some(metric.name))
        }
        _ => metric.name == series,
    })
}

#[test]
fn every_metric_on_the_dashboard_exists() {
    let queries = queries(&dashboard());
    assert!(queries.len() > 10, "{queries:?}");
    for query in queries {
        let named = metrics_of(&query);
        assert!(!named.is_empty(), "no metric in {query}");
        for series in named {
            assert!(row(series).is_some(), "{series} is not in observe::METRICS: {query}");
        }
    }
    assert!(row("cliproxy_requests").is_none() && row("cliproxy_request_duration_seconds").is_none());
}

#[test]
fn every_label_on_the_dashboard_exists() {
    // Those of Prometheus itself.
    const THEIRS: [&str; 3] = ["job", "instance", "le"];
    let known =
        |label: &str| THEIRS.contains(&label) || METRICS.iter().any(|metric| metric.labels.contains(&label));
    for query in queries(&dashboard()) {
        for clause in query.split("by (").skip(1) {
            for label in clause.split(')').next().unwrap_or_default().split(", ") {
                assert!(known(label), "{label}: {query}");
            }
        }
        for clause in query.split('{').skip(1) {
            for matcher in clause.split('}').next().unwrap_or_default().split(',') {
                let label = matcher.split(['=', '!']).next().unwrap_or_default();
                assert!(known(label), "{label}: {query}");
            }
        }
    }
}

#[test]
fn every_metric_of_ours_is_on_the_dashboard() {
    let shown = queries(&dashboard()).join("\n");
    for metric in METRICS.iter().filter(|metric| metric.name.starts_with("cliproxy_")) {
        assert!(shown.contains(metric.name), "{} is on no panel", metric.name);
    }
}

#[test]
fn panels_have_names_places_and_ids_of_their_own() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    for key in ["id", "title", "gridPos"] {
        let mut values: Vec<_> = panels.iter().map(|panel| panel[key].to_string()).collect();
        values.sort();
        values.dedup();
        assert_eq!(values.len(), panels.len(), "{key}");
    }
}

#[test]
fn provisioning_and_compose_are_yaml() {
    for path in [
        "grafana/provisioning/dashboards/cliproxy.yaml",
        "grafana/provisioning/datasources/cliproxy.yaml",
        "docker-compose.yml",
    ] {
        let parsed: Result<serde_yaml::Value, _> = serde_yaml::from_str(&file(path));
        assert!(parsed.is_ok_and(|value| value.is_mapping()), "{path}");
    }
}

#[test]
fn the_images_configuration_asks_for_a_client_key() {
    let text = file("conf/container.yaml");
    let with = |name: &str| (name == "CLIPROXY_API_KEY").then(|| "a-client-key".to_owned());
    let loaded = load_text(&text, &with).expect("the image's configuration");
    assert_eq!(loaded.config.server.auth.api_keys.len(), 1);
    assert_eq!(loaded.inactive, [], "it asks for nothing that is not there");
    let problems = load_text(&text, &|_| None).expect_err("no key, no gateway on every address");
    assert!(problems.iter().any(|problem| problem.to_string().contains("CLIPROXY_API_KEY")), "{problems:?}");
}

#[test]
fn the_compose_file_sets_what_the_image_needs() {
    let compose: serde_yaml::Value = serde_yaml::from_str(&file("docker-compose.yml")).expect("YAML");
    let service = &compose["services"]["cliproxy"];
    let image = service["image"].as_str().expect("an image");
    assert_eq!(image, image.to_lowercase(), "Docker refuses names with capitals");
    for variable in ["CLIPROXY_API_KEY", "CLIPROXY_OPERATIONS_TOKEN"] {
        let value = service["environment"][variable].as_str().unwrap_or_default();
        assert!(value.starts_with(&format!("${{{variable}:?")), "{variable} must be asked for: {value:?}");
    }
    let mounts: Vec<_> =
        service["volumes"].as_sequence().expect("volumes").iter().filter_map(|v| v.as_str()).collect();
    for target in [":/config/config.yaml:ro", ":/auths:rw", ":/logs:rw", ":/state"] {
        assert!(mounts.iter().any(|mount| mount.ends_with(target)), "{target}: {mounts:?}");
    }
    assert_eq!(service["user"], "65534:65534");
    assert_eq!(service["read_only"], true);
}

#[test]
fn the_image_runs_as_nobody_with_its_own_folders() {
    let image = file("Dockerfile");
    for line in [
        "USER 65534:65534",
        "VOLUME /state",
        "EXPOSE 8317 9090",
        "ENTRYPOINT [\"cliproxy\"]",
        "COPY conf/container.yaml /config/config.yaml",
    ] {
        assert!(image.lines().any(|found| found == line), "{line}");
    }
    for variable in ["CLIPROXY_HOST=0.0.0.0", "CLIPROXY_AUTH_DIR=/auths", "CLIPROXY_STATE_DIR=/state"] {
        assert!(image.contains(variable), "{variable}");
    }
    assert!(image.contains("--profile dist --locked"));
    // What the build copies must not be held back by .dockerignore.
    let kept: Vec<_> =
        file(".dockerignore").lines().filter_map(|line| line.strip_prefix('!').map(str::to_owned)).collect();
    for line in image.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        for source in &words[..words.len() - 1] {
            assert!(kept.iter().any(|kept| kept == source), "{source} is not in .dockerignore");
        }
    }
}
