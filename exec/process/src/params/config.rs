//! Parameters in a file of configuration: TOML, JSON or YAML, by the ending of its name.
//!
//! Keys of nested maps are joined by `.`. A list of plain values is a list; the items of others
//! carry their place: `stages.0.name`. Null and numbers that are not finite are left out, dates
//! are text.

use std::collections::BTreeMap;
use std::path::Path;

use lab_schema::{Number, Value};

use super::found::{MAX_KEY_BYTES, MAX_PARAMS, may_keep, typed};
use super::yaml::{self, Node};
use crate::metrics::format_of;

/// Most bytes of such a file: a larger one is data.
const MAX_BYTES: usize = 256 << 10;

/// Files with such endings that steer tools, or are parts of data sets and models: their names.
const OF_TOOLS: [&str; 24] = [
    "Cargo.toml",
    "added_tokens.json",
    "composer.json",
    "dataset_info.json",
    "dataset_infos.json",
    "docker-compose.yaml",
    "docker-compose.yml",
    "dvc.yaml",
    "environment.yaml",
    "environment.yml",
    "merges.json",
    "mkdocs.yml",
    "model.safetensors.index.json",
    "package-lock.json",
    "package.json",
    "pnpm-lock.yaml",
    "preprocessor_config.json",
    "pyproject.toml",
    "pytorch_model.bin.index.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tsconfig.json",
    "vocab.json",
];

/// The parameters in a file of configuration, or what is wrong with it. None if it is no such
/// file: by its name, because it is large, or because it does not hold a map.
pub fn params_of_config(
    name: &Path,
    bytes: &[u8],
) -> Option<Result<BTreeMap<String, Value>, String>> {
    let file = name.file_name()?;
    let text = file.to_str()?;
    // A name that begins with a dot is a tool's.
    let is_tools = text.starts_with('.') || OF_TOOLS.contains(&text) || format_of(file).is_some();
    if is_tools || bytes.len() > MAX_BYTES {
        return None;
    }
    let parse = match text.rsplit_once('.')?.1 {
        "toml" => toml,
        "json" => json,
        "yaml" | "yml" => yaml::parse,
        _ => return None,
    };
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
    let node = text.and_then(|text| parse(text.trim_start_matches('\u{feff}')));
    match node {
        Ok(Node::Map(fields)) => {
            let mut found = Found::default();
            Some(found.take_fields("", fields).map(|()| found.params))
        }
        Ok(_) => None,
        Err(why) => Some(Err(why)),
    }
}

fn json(text: &str) -> Result<Node, String> {
    serde_json::from_str(text).map(of_json).map_err(|e| e.to_string())
}

/// The parser bounds the depth, and so this recursion.
fn of_json(value: serde_json::Value) -> Node {
    use serde_json::Value as Json;
    match value {
        Json::Null => Node::Nothing,
        Json::Bool(value) => Node::Scalar(Value::Bool(value)),
        // Of the integers beyond ours, the digits are kept.
        Json::Number(number) if number.is_u64() || number.is_i64() => {
            Node::Scalar(typed(&number.to_string()))
        }
        Json::Number(number) => float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Node::Scalar(Value::Text(text)),
        Json::Array(items) => Node::List(items.into_iter().map(of_json).collect()),
        Json::Object(fields) => {
            Node::Map(fields.into_iter().map(|(key, value)| (key, of_json(value))).collect())
        }
    }
}

fn toml(text: &str) -> Result<Node, String> {
    let table = text.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
    Ok(of_toml(toml::Value::Table(table)))
}

/// As for JSON.
fn of_toml(value: toml::Value) -> Node {
    use toml::Value as Toml;
    match value {
        Toml::Boolean(value) => Node::Scalar(Value::Bool(value)),
        Toml::Integer(value) => Node::Scalar(Value::Int(value)),
        Toml::Float(value) => float(value),
        Toml::String(text) => Node::Scalar(Value::Text(text)),
        Toml::Datetime(time) => Node::Scalar(Value::Text(time.to_string())),
        Toml::Array(items) => Node::List(items.into_iter().map(of_toml).collect()),
        Toml::Table(fields) => {
            Node::Map(fields.into_iter().map(|(key, value)| (key, of_toml(value))).collect())
        }
    }
}

fn float(number: f64) -> Node {
    Number::new(number).map_or(Node::Nothing, |number| Node::Scalar(Value::Float(number)))
}

/// What was found so far.
#[derive(Default)]
struct Found {
    params: BTreeMap<String, Value>,
    /// Values seen, kept or not.
    seen: usize,
}

impl Found {
    fn take(&mut self, key: &str, node: Node) -> Result<(), String> {
        match node {
            Node::Nothing => Ok(()),
            Node::Scalar(value) => self.keep(key, value, 1),
            Node::Map(fields) => self.take_fields(key, fields),
            Node::List(items) => match plain(&items) {
                Some(values) => self.keep(key, Value::List(values), items.len()),
                None => {
                    let fields = items.into_iter().enumerate();
                    self.take_fields(key, fields.map(|(at, item)| (at.to_string(), item)))
                }
            },
        }
    }

    fn take_fields(
        &mut self,
        key: &str,
        fields: impl IntoIterator<Item = (String, Node)>,
    ) -> Result<(), String> {
        for (name, node) in fields {
            let dot = if key.is_empty() { "" } else { "." };
            // A longer one is not kept, nor are those below it.
            if key.len() + dot.len() + name.len() <= MAX_KEY_BYTES {
                self.take(&format!("{key}{dot}{name}"), node)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, key: &str, value: Value, values: usize) -> Result<(), String> {
        self.seen += values.max(1);
        if self.seen > MAX_PARAMS {
            return Err(format!("it holds more than {MAX_PARAMS} values"));
        }
        if may_keep(key, &value) {
            self.params.insert(key.to_owned(), value);
        }
        Ok(())
    }
}

/// The items of a list that holds nothing else.
fn plain(items: &[Node]) -> Option<Vec<Value>> {
    let value = |item: &Node| match item {
        Node::Scalar(value) => Some(value.clone()),
        _ => None,
    };
    items.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Option<Result<String, String>> {
        let read = params_of_config(Path::new(name), bytes)?;
        Some(read.map(|params| {
            let param = |(key, value): (&String, &Value)| format!("{key}={value}");
            params.iter().map(param).collect::<Vec<_>>().join(" ")
        }))
    }

    fn params(name: &str, text: &str) -> String {
        read(name, text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn the_three_formats_give_the_same() {
        let expected = "deep.a.b=1 lr=0.001 name=\"x\" on=true sizes=[1, 2] stages.0.n=3 \
                        stages.1.n=4 stages.1.none=[]";
        let toml = "\u{feff}lr = 1e-3\nname = 'x'\non = true\nsizes = [1, 2]\ndeep.a.b = 1\n\
                    [[stages]]\nn = 3\n[[stages]]\nn = 4\nnone = []\n";
        assert_eq!(params("c/conf.toml", toml), expected);
        let json = r#"{"lr": 1e-3, "name": "x", "on": true, "sizes": [1, 2], "gone": null,
            "deep": {"a": {"b": 1}}, "stages": [{"n": 3}, {"n": 4, "none": []}]}"#;
        assert_eq!(params("conf.json", json), expected);
        let yaml = "lr: 1e-3\nname: x\non: true\nsizes: [1, 2]\ngone:\ndeep: {a: {b: 1}}\n\
                    stages:\n- n: 3\n- n: 4\n  none: []\n";
        assert_eq!(params("conf.yaml", yaml), expected);
        assert_eq!(params("conf.yml", json), expected);
    }

    #[test]
    fn odd_values() {
        let toml = "a = nan\nb = -inf\nc = 2026-01-02T03:04:05Z\nd = [1, 'x', nan]\n";
        assert_eq!(params("x.toml", toml), "c=\"2026-01-02T03:04:05Z\" d.0=1 d.1=\"x\"");
        let json = r#"{"a": 18446744073709551615, "b": -9223372036854775808, "c": 1e300, "d": 1.0,
            "e": "\u0000", "f\u0000": 1, "": 2, "x": {"": 3}}"#;
        let expected = "a=\"18446744073709551615\" b=-9223372036854775808 c=1e300 d=1.0 \
                        e=\"\\0\" x.=3";
        assert_eq!(params("x.json", json), expected);
        assert_eq!(
            params("x.yaml", "a: 0123\nb: 99999999999999999999"),
            "a=\"0123\" b=\"99999999999999999999\""
        );
        assert_eq!(params("x.yaml", "{}"), "");
    }

    #[test]
    fn secrets_and_long_text_are_left_out() {
        let yaml = format!(
            "api_key: x\nhub: {{token: 1, id: 2}}\nprivate: {{lr: 1}}\n\
                    url: http://a:b@c/\nlist: [ok, 'ftp://a:b@c/']\nlong: {}\n",
            "x".repeat(2000)
        );
        assert_eq!(params("x.yaml", &yaml), "hub.id=2");
    }

    #[test]
    fn files_that_are_no_configuration_are_none() {
        for name in [
            "package.json",
            "a/tokenizer.json",
            ".hidden.yaml",
            "metrics.json",
            "x.txt",
            "toml",
            "x.JSON",
            "a/..",
            "",
        ] {
            assert_eq!(read(name, b"{}"), None, "{name}");
        }
        assert_eq!(read("x.json", b"[1, 2]"), None);
        assert_eq!(read("x.yaml", b""), None);
        assert_eq!(read("x.yaml", b"text"), None);
        let large = format!("{{\"a\": \"{}\"}}", " ".repeat(MAX_BYTES));
        assert_eq!(read("x.json", large.as_bytes()), None);
    }

    #[test]
    fn hostile_files_are_errors_not_panics() {
        let deep_json = "{\"a\":".repeat(40_000);
        let deep_toml = format!("{}a = 1", "a.".repeat(100_000));
        let deep_table = format!("[{}a]", "a.".repeat(100_000));
        let deep_array = format!("a = {}", "[".repeat(200_000));
        let many: String = (0..301).map(|i| format!("a{i} = 1\n")).collect();
        let secrets: String = (0..301).map(|i| format!("key{i} = 1\n")).collect();
        let long_list = format!("a = [{}]", "1,".repeat(301));
        let empty_lists = format!("a = [{}]", "[],".repeat(301));
        for (name, text) in [
            ("x.json", &deep_json[..]),
            ("x.json", "{"),
            ("x.json", ""),
            ("x.json", "{\"a\": 1e999}"),
            ("x.json", "{\"a\": NaN}"),
            ("x.json", "{\0}"),
            ("x.toml", &deep_toml),
            ("x.toml", &deep_table),
            ("x.toml", &deep_array),
            ("x.toml", &many),
            ("x.toml", &secrets),
            ("x.toml", &long_list),
            ("x.toml", &empty_lists),
            ("x.toml", "a = 1\na = 2"),
            ("x.toml", "a = 99999999999999999999"),
            ("x.yaml", "a: ["),
        ] {
            let start: String = text.chars().take(20).collect();
            assert!(read(name, text.as_bytes()).unwrap().is_err(), "{name}: {start}");
        }
        for name in ["x.json", "x.toml", "x.yaml"] {
            assert_eq!(read(name, b"a: \xff"), Some(Err("it is not UTF-8".to_owned())), "{name}");
        }
        let most: String = (0..300).map(|i| format!("a{i} = 1\n")).collect();
        assert_eq!(
            params_of_config(Path::new("x.toml"), most.as_bytes()).unwrap().unwrap().len(),
            300
        );
        // Keys that grow with the depth.
        let wide = format!("{}x = 1", format!("{}.", "k".repeat(100)).repeat(50));
        assert_eq!(params("x.toml", &wide), "");
    }
}
