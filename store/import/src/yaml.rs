//! YAML as DVC and MLflow write it, from the events of its parser.
//!
//! Scalars stay text: whether `12e3` is a digest or a number is known to who reads it. Aliases are
//! refused: neither tool writes any, and they are what small files that become large ones are made of.

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Text, and whether it stood there without quotes.
    Text(String, bool),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// How deep nodes may lie.
const MAX_DEPTH: usize = 64;
/// Most nodes of a file.
const MAX_NODES: usize = 4_000_000;

/// The first node of the only document; an empty map if there is none.
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    let mut builder = Builder { events: Parser::new_from_str(text), nodes: 0 };
    let mut document = None;
    loop {
        match builder.next()? {
            Event::StreamEnd => return Ok(document.unwrap_or(Node::Map(Vec::new()))),
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

impl Node {
    /// The value of a key of a map; none if it is absent or null.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Node::Map(entries) = self else { return None };
        let value = entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)?;
        (!value.is_null()).then_some(value)
    }

    fn is_null(&self) -> bool {
        matches!(self, Node::Text(text, true) if ["", "~", "null"].contains(&text.as_str()))
    }

    /// The text of a key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Node::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// The number of a key.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    /// The items of a key that is a list; nothing if it is absent.
    pub(crate) fn list(&self, key: &str) -> &[Node] {
        match self.get(key) {
            Some(Node::List(items)) => items,
            _ => &[],
        }
    }

    /// The entries of a map.
    pub(crate) fn entries(&self) -> &[(String, Node)] {
        match self {
            Node::Map(entries) => entries,
            _ => &[],
        }
    }
}

struct Builder<'a> {
    events: Parser<'a, StrInput<'a>>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.events.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(format!("it is not YAML: {error}")),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node, String> {
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        if self.nodes > MAX_NODES {
            return Err("it holds too many values".to_owned());
        }
        match event {
            Event::Alias(_) => Err("it holds an alias, which is not followed".to_owned()),
            Event::Scalar(text, style, ..) => {
                Ok(Node::Text(text.into_owned(), style == ScalarStyle::Plain))
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => return Ok(Node::List(items)),
                        event => items.push(self.node(event, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                loop {
                    let key = match self.next()? {
                        Event::MappingEnd => return Ok(Node::Map(entries)),
                        Event::Scalar(key, ..) => key.into_owned(),
                        _ => return Err("a key is not plain text".to_owned()),
                    };
                    let event = self.next()?;
                    entries.push((key, self.node(event, depth + 1)?));
                }
            }
            _ => Err("a value is missing".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_write_is_read_as_text() {
        let node = parse("outs:\n- md5: 12345e67\n  size: 8\n  path: 'a b'\nend: null\n").unwrap();
        let out = &node.list("outs")[0];
        assert_eq!(out.text("md5"), Some("12345e67"));
        assert_eq!((out.number("size"), out.text("path")), (Some(8), Some("a b")));
        assert!(node.get("end").is_none() && node.list("none").is_empty());
    }

    #[test]
    fn bombs_are_not_unfolded_and_rubbish_is_refused() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\n";
        assert!(parse(bomb).unwrap_err().contains("alias"));
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse("a: 1\n---\nb: 2\n").is_err());
        for bad in ["a: [", "\"", "? [x]\n: y\n", "a:\n\t- b"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse("").unwrap(), Node::Map(Vec::new()));
    }
}
