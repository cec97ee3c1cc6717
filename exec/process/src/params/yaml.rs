//! YAML, from the events of its parser, so that aliases cannot multiply without bound.
//!
//! Plain scalars are typed as in YAML 1.2, where `yes` and `on` are text; one document to a file.
//! The merge key `<<` of YAML 1.1 is known, as configurations lean on it.

use std::collections::BTreeMap;

use lab_schema::Value;
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use super::found::typed;

/// A file of configuration as a tree, whatever its format.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Null, or a number that is not finite.
    Nothing,
    Scalar(Value),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

/// How deep nodes may lie.
const MAX_DEPTH: usize = 64;

/// Most bytes of all nodes together, copies by aliases included.
const MAX_BYTES: usize = 8 << 20;

/// What a node counts beside its text.
const NODE_BYTES: usize = 64;

/// The first node of the only document; nothing if there is none.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let events = Parser::new_from_str(text);
    let mut builder = Builder { events, anchors: BTreeMap::new(), bytes: 0 };
    let mut document = None;
    loop {
        match builder.next()? {
            Event::StreamEnd => return Ok(document.unwrap_or(Node::Nothing)),
            Event::DocumentStart(_) if document.is_some() => {
                return Err("it holds several documents".to_owned());
            }
            Event::DocumentStart(_) => {
                let event = builder.next()?;
                document = Some(builder.node(event, 0)?);
            }
            _ => {}
        }
    }
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// What anchors name, with its size.
    anchors: BTreeMap<usize, (Node, usize)>,
    bytes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.events.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(e)) => Err(e.to_string()),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES { Err("it is too large".to_owned()) } else { Ok(()) }
    }

    /// The node that begins with an event.
    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        let before = self.bytes;
        self.count(NODE_BYTES)?;
        let (node, anchor) = match event {
            Event::Alias(anchor) => {
                let size = self.anchors.get(&anchor).map(|(_, size)| *size);
                self.count(size.unwrap_or(0))?;
                let named = self.anchors.get(&anchor).map(|(node, _)| node.clone());
                return named.ok_or_else(|| "an alias stands in what it names".to_owned());
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(text.len())?;
                (scalar(&text, style, tag.as_deref()), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            _ => return Err("a value is missing".to_owned()),
        };
        if anchor > 0 {
            let size = self.bytes - before;
            self.count(size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Node, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Node::List(items)),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let (mut map, mut merged) = (BTreeMap::new(), Vec::new());
        loop {
            let (key, plain) = match self.next()? {
                Event::MappingEnd => break,
                Event::Scalar(key, style, 0, _) => (key.into_owned(), style == ScalarStyle::Plain),
                _ => return Err("a key is not plain text".to_owned()),
            };
            self.count(key.len())?;
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            match value {
                Node::List(nodes) if plain && key == "<<" => merged.extend(nodes),
                node if plain && key == "<<" => merged.push(node),
                node => drop(map.insert(key, node)),
            }
        }
        // What a map says itself, and what was merged first, wins.
        for node in merged {
            let Node::Map(fields) = node else { return Err("'<<' is given no map".to_owned()) };
            for (key, node) in fields {
                map.entry(key).or_insert(node);
            }
        }
        Ok(Node::Map(map))
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Node {
    let is_text = tag.is_some_and(|tag| {
        !tag.is_yaml_core_schema() || !["int", "float", "bool", "null"].contains(&&*tag.suffix)
    });
    if style != ScalarStyle::Plain || is_text {
        return Node::Scalar(Value::Text(text.to_owned()));
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" | ".nan" | ".NaN" | ".NAN" => Node::Nothing,
        _ => match text.strip_prefix(['+', '-']).unwrap_or(text) {
            ".inf" | ".Inf" | ".INF" => Node::Nothing,
            _ => Node::Scalar(typed(text)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node) -> String {
        let join = |parts: Vec<String>| parts.join(" ");
        match node {
            Node::Nothing => "-".to_owned(),
            Node::Scalar(value) => value.to_string(),
            Node::List(items) => format!("[{}]", join(items.iter().map(shown).collect())),
            Node::Map(fields) => {
                let field = |(k, n): (&String, &Node)| format!("{k}:{}", shown(n));
                format!("{{{}}}", join(fields.iter().map(field).collect()))
            }
        }
    }

    fn read(text: &str) -> String {
        shown(&parse(text).unwrap())
    }

    #[test]
    fn scalars_are_typed_if_they_stand_plain() {
        for (text, expected) in [
            ("a: 1", "{a:1}"),
            ("a: 1e-3 # note", "{a:0.001}"),
            ("a: '1'", "{a:\"1\"}"),
            ("a: \"\\u0041\\n\"", "{a:\"A\\n\"}"),
            ("a: True\nb: no\nc: 1_000", "{a:true b:\"no\" c:\"1_000\"}"),
            ("a:\nb: ~\nc: null\nd: .nan\ne: -.inf\nf: '~'", "{a:- b:- c:- d:- e:- f:\"~\"}"),
            ("a: !env 5\nb: !int 5", "{a:\"5\" b:\"5\"}"),
            ("a: !!str 5\nb: !!int 5\nc: !env X\nd: ! 5", "{a:\"5\" b:5 c:\"X\" d:\"5\"}"),
            ("a:\n- \n", "{a:[-]}"),
            ("a: |\n  x\n  y\nb: >-\n  x\n  y", "{a:\"x\\ny\\n\" b:\"x y\"}"),
            ("5: x\ntrue: y", "{5:\"x\" true:\"y\"}"),
            ("", "-"),
            ("# nothing", "-"),
            ("%YAML 1.2\n---\na: 1\n...\n", "{a:1}"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn lists_maps_aliases_and_merges() {
        let text = "base: &b {lr: 0.1, n: [1, 2]}\nother: &o\n  lr: 3\n  m: 4\n\
                    a:\n  <<: *b\n  n: 5\nc: {<<: [*b, *o]}\nd:\n- *b\n- x\ne: {'<<': 1}\n";
        let expected = "{a:{lr:0.1 n:5} base:{lr:0.1 n:[1 2]} c:{lr:0.1 m:4 n:[1 2]} \
                        d:[{lr:0.1 n:[1 2]} \"x\"] e:{<<:1} other:{lr:3 m:4}}";
        assert_eq!(read(text), expected);
    }

    #[test]
    fn what_is_no_such_document_is_an_error() {
        for bad in [
            "a: [",
            "a: b: c",
            "a: *x",
            "&a [*a]",
            "a: 1\n---\nb: 2",
            "[a]: 1",
            "\t- a\n\tb",
            "{a: 1}}",
            "a: \"",
            "<<: 1",
            "<<: [1]",
            "a: 1\na",
            "\0",
            "a: \0",
            "%X",
        ] {
            assert!(parse(bad).is_err(), "{bad}: {:?}", parse(bad));
        }
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        for deep in ["[", "{a: ", "- ", "? ", "[a, "] {
            assert!(parse(&deep.repeat(50_000)).is_err(), "{deep}");
        }
        let indented: String = (0..200).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert_eq!(parse(&indented), Err("it is nested too deep".to_owned()));
        // A billion laughs, and one long laugh many times.
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..10 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb += &format!("a{i}: &a{i} [{aliases}]\n");
        }
        assert_eq!(parse(&bomb), Err("it is too large".to_owned()));
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), "*a, ".repeat(1000));
        assert_eq!(parse(&long), Err("it is too large".to_owned()));
        let merges =
            format!("a: &a {{b: {}}}\nc: {{<<: [{}]}}", "x".repeat(100_000), "*a, ".repeat(1000));
        assert_eq!(parse(&merges), Err("it is too large".to_owned()));
    }

    #[test]
    fn damaged_documents_are_no_panics() {
        let text = "%TAG ! tag:x,1:\n---\na: &b [1, 'x', {y: \"z\\x41\"}]\n? k\n: |2\n   t\nc: *b\n\
                    <<: {m: >-\n  f}\nd: - e\n...\n";
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize
        };
        let marks = b"[]{}:,-?&*!|>'\"%@`#\n\t \\<~\0\xc3";
        for _ in 0..20_000 {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..1 + random() % 4 {
                let at = random() % bytes.len();
                match random() % 3 {
                    0 => bytes[at] = marks[random() % marks.len()],
                    1 => bytes.insert(at, marks[random() % marks.len()]),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            let _ = parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
