//! The effective configuration, defaults and all, as YAML. Secrets are masked by how they are written.

use super::Config;
use crate::settings::{Node, Setting, Value};
use serde_yaml::{Mapping, Number};

/// The configuration as it is in effect, without the keys that have no value.
pub fn effective(config: &Config) -> String {
    serde_yaml::to_string(&yaml(&config.write())).unwrap_or_default()
}

fn yaml(node: &Node) -> serde_yaml::Value {
    match &node.value {
        Value::Null | Value::Unset { .. } => serde_yaml::Value::Null,
        Value::Scalar { text, .. } => scalar(text),
        Value::List(items) => serde_yaml::Value::Sequence(items.iter().map(yaml).collect()),
        Value::Map(entries) => {
            let given = entries.iter().filter(|entry| !entry.value.is_null());
            let pairs = given.map(|entry| (entry.key.as_str().into(), yaml(&entry.value)));
            serde_yaml::Value::Mapping(pairs.collect::<Mapping>())
        }
    }
}

/// Numbers and booleans without quotes, where that changes nothing in them.
fn scalar(text: &str) -> serde_yaml::Value {
    if let Ok(flag) = text.parse::<bool>() {
        return flag.into();
    }
    let whole = text.parse::<u64>().map(Number::from).ok();
    let number = whole.or_else(|| text.parse::<f64>().map(Number::from).ok());
    match number.filter(|number| number.to_string() == text) {
        Some(number) => serde_yaml::Value::Number(number),
        None => text.into(),
    }
}
