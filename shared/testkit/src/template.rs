//! `template.yaml` as data.

use std::{fs, path::Path};

use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

/// The template as JSON. A short form such as `!Ref Table` is an object with one member: `{"Ref": "Table"}`.
///
/// # Panics
/// If the template is not YAML.
#[must_use]
pub fn template() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let text = fs::read_to_string(path).expect("the project has a template");
    let mut yaml: Yaml = serde_yaml_ng::from_str(&text).expect("the template is YAML");
    yaml.apply_merge().expect("merged mappings are mappings");
    json(yaml)
}

fn json(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            Value::Object(Map::from_iter([(tag.trim_start_matches('!').to_owned(), json(tagged.value))]))
        }
        Yaml::Sequence(items) => items.into_iter().map(json).collect(),
        Yaml::Mapping(members) => {
            let name = |key: Yaml| key.as_str().map_or_else(|| json(key.clone()).to_string(), str::to_owned);
            members.into_iter().map(|(key, value)| (name(key), json(value))).collect()
        }
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => value.into(),
        Yaml::Number(number) => number.as_i64().map_or_else(|| number.as_f64().into(), Value::from),
        Yaml::String(text) => text.into(),
    }
}
