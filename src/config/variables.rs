//! `${VAR}` and `${VAR:-default}` in any value, expanded scalar by scalar.
//!
//! `$${` is a plain `${`; a dollar before anything else is itself. A variable that is empty counts as not set,
//! since `docker compose` passes every variable that it doesn't have as an empty one.

use super::Environment;
use crate::settings::{Node, Problems, Value};

/// Expands every scalar below the node.
pub(super) fn expand(node: &mut Node, environment: Environment<'_>, problems: &mut Problems) {
    match &mut node.value {
        Value::Null | Value::Unset { .. } => {}
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                problems.at_index(index, |problems| expand(item, environment, problems));
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                problems.at_key(&entry.key, |problems| expand(&mut entry.value, environment, problems));
            }
        }
        Value::Scalar { text, .. } if !text.contains("${") => {}
        Value::Scalar { text, .. } => match expand_text(text, environment) {
            Ok(value) => node.value = value,
            Err(message) => {
                problems.error(node, message);
                node.value = Value::Unset { variables: Vec::new() };
            }
        },
    }
}

fn expand_text(text: &str, environment: Environment<'_>) -> Result<Value, &'static str> {
    let (mut expanded, mut rest) = (String::with_capacity(text.len()), text);
    let (mut variables, mut unset) = (0, Vec::new());
    while let Some(dollar) = rest.find("${") {
        let (before, from) = rest.split_at(dollar);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &from[2..];
            continue;
        }
        expanded.push_str(before);
        let (variable, after) =
            from[2..].split_once('}').ok_or("a `${` has no `}`; write `$${` for a plain `${`")?;
        let (name, default) = variable.split_once(":-").map_or((variable, None), |(n, d)| (n, Some(d)));
        if !is_name(name) {
            return Err("expected ${NAME} or ${NAME:-default}; write `$${` for a plain `${`");
        }
        variables += 1;
        match environment(name).filter(|value| !value.is_empty()).or_else(|| default.map(str::to_owned)) {
            Some(value) => expanded.push_str(&value),
            None => unset.push(name.to_owned()),
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(match (unset.is_empty(), expanded.is_empty()) {
        (false, _) => Value::Unset { variables: unset },
        (true, true) => Value::Null,
        (true, false) => Value::Scalar { text: expanded, quoted: true, expanded: variables > 0 },
    })
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
