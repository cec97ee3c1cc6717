//! A page: what stands on it, and the HTML of it.

use crate::colour::{DAY, NIGHT, Tone};
use crate::inline::{Inline, inlines, safe};
use crate::style::PAGE;
use crate::svg::{Drawing, STYLE};
use crate::table::Table;

/// A part of a page.
#[derive(Clone, Debug)]
pub enum Block {
    /// The head of a section.
    Heading(String),
    /// The head of a part of a section.
    Subheading(String),
    /// A paragraph.
    Paragraph(Vec<Inline>),
    /// A paragraph that is read first.
    Lead(Vec<Inline>),
    /// What nobody should miss: how good the news is, the head, and the rest.
    Notice(Tone, String, Vec<Block>),
    /// Words and what they stand for.
    Facts(Vec<(String, Vec<Inline>)>),
    /// A list.
    List(Vec<Vec<Inline>>),
    /// Commands to be typed, a line each. Lines that begin with `#` are remarks.
    Commands(Vec<String>),
    /// A table.
    Table(Table),
    /// A picture.
    Figure(Figure),
}

/// A picture and what is said below it.
#[derive(Clone, Debug)]
pub struct Figure {
    /// As it is shown where there is room.
    pub wide: Drawing,
    /// As it is shown on a narrow screen; if there is none, the wide one is scrolled.
    pub narrow: Option<Drawing>,
    /// What it shows.
    pub caption: Vec<Inline>,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// A line below it.
    pub subtitle: Vec<Inline>,
    /// What stands on it.
    pub blocks: Vec<Block>,
    /// What stands at its end.
    pub footer: Vec<Inline>,
}

/// What a browser may load for a page: nothing. If a hostile name ever became markup, it could still do nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

impl Page {
    /// The page as the text of one HTML file.
    pub fn html(&self) -> String {
        let title = safe(&self.title);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n\
             <style>:root{{{}}}@media (prefers-color-scheme:dark){{:root{{{}}}}}@media print{{:root{{{}}}}}{PAGE}{STYLE}</style>\n\
             </head>\n<body>\n<header>\n<h1>{title}</h1>\n",
            DAY.variables(),
            NIGHT.variables(),
            DAY.variables()
        );
        if !self.subtitle.is_empty() {
            out.push_str(&format!("<p class=\"subtitle\">{}</p>\n", inlines(&self.subtitle)));
        }
        out.push_str("</header>\n<main>\n");
        let mut written = Written { out, figures: 0 };
        self.blocks.iter().for_each(|block| written.block(block));
        let mut out = written.out;
        out.push_str("</main>\n");
        if !self.footer.is_empty() {
            out.push_str(&format!("<footer>{}</footer>\n", inlines(&self.footer)));
        }
        out.push_str("</body>\n</html>\n");
        out
    }
}

/// What was written so far.
struct Written {
    out: String,
    figures: usize,
}

impl Written {
    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(text) => self.line(&format!("<h2>{}</h2>", safe(text))),
            Block::Subheading(text) => self.line(&format!("<h3>{}</h3>", safe(text))),
            Block::Paragraph(words) => self.line(&format!("<p>{}</p>", inlines(words))),
            Block::Lead(words) => self.line(&format!("<p class=\"lead\">{}</p>", inlines(words))),
            Block::Notice(tone, head, blocks) => {
                let (class, head) = (tone.class(), safe(head));
                self.line(&format!("<section class=\"notice {class}\">\n<h2>{head}</h2>"));
                blocks.iter().for_each(|block| self.block(block));
                self.line("</section>");
            }
            Block::Facts(facts) => {
                self.line("<dl>");
                for (what, words) in facts {
                    self.line(&format!("<dt>{}</dt><dd>{}</dd>", safe(what), inlines(words)));
                }
                self.line("</dl>");
            }
            Block::List(items) => {
                self.line("<ul>");
                items.iter().for_each(|item| self.line(&format!("<li>{}</li>", inlines(item))));
                self.line("</ul>");
            }
            Block::Commands(lines) => {
                let one = |line: &String| match line.starts_with('#') {
                    true => format!("<span class=\"dim\">{}</span>", safe(line)),
                    false => safe(line),
                };
                let lines: Vec<String> = lines.iter().map(one).collect();
                self.line(&format!("<pre><code>{}</code></pre>", lines.join("\n")));
            }
            Block::Table(table) => self.out.push_str(&table.html()),
            Block::Figure(figure) => self.figure(figure),
        }
    }

    fn figure(&mut self, figure: &Figure) {
        self.figures += 1;
        let id = format!("f{}", self.figures);
        let class = if figure.narrow.is_none() { " class=\"whole\"" } else { "" };
        self.line(&format!("<figure{class}>"));
        match &figure.narrow {
            Some(narrow) => {
                let wide = figure.wide.part(&format!("{id}w"), "wide");
                self.line(&wide);
                self.line(&narrow.part(&format!("{id}n"), "narrow"));
            }
            None => {
                let wide = figure.wide.part(&id, "whole");
                self.line(
                    "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"picture\">",
                );
                self.line(&wide);
                self.line("</div>");
            }
        }
        if !figure.caption.is_empty() {
            self.line(&format!("<figcaption>{}</figcaption>", inlines(&figure.caption)));
        }
        self.line("</figure>");
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::{Arm, strips};
    use crate::table::Column;

    const EVIL: &str = "</script></style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u{202e}\u{0}";

    fn page(text: &str) -> Page {
        let words = || vec![Inline::text(text), Inline::code(text)];
        let arm = Arm {
            name: text.to_owned(),
            words: text.to_owned(),
            scores: vec![1.0],
            ..Arm::default()
        };
        let drawing = strips(&[arm], text, 640.0);
        let table = Table {
            caption: text.into(),
            columns: vec![Column::words(text)],
            rows: vec![vec![words()]],
        };
        let inner = vec![Block::Paragraph(words()), Block::Table(table.clone())];
        Page {
            title: text.into(),
            subtitle: words(),
            blocks: vec![
                Block::Heading(text.into()),
                Block::Subheading(text.into()),
                Block::Lead(words()),
                Block::Notice(Tone::Bad, text.into(), inner),
                Block::Facts(vec![(text.into(), words())]),
                Block::List(vec![words()]),
                Block::Commands(vec![text.into(), format!("# {text}")]),
                Block::Table(table),
                Block::Figure(Figure { wide: drawing.clone(), narrow: None, caption: words() }),
                Block::Figure(Figure { wide: drawing.clone(), narrow: None, caption: words() }),
                Block::Figure(Figure {
                    wide: drawing.clone(),
                    narrow: Some(drawing),
                    caption: words(),
                }),
            ],
            footer: words(),
        }
    }

    /// The names of all tags, with their attributes, in order.
    fn tags(html: &str) -> Vec<&str> {
        html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect()
    }

    #[test]
    fn hostile_words_add_no_tag_and_no_attribute() {
        let (harmless, evil) = (page("x").html(), page(EVIL).html());
        let bare = |html: &str| -> Vec<String> {
            let quotes = |tag: &str| tag.split('"').step_by(2).collect::<Vec<_>>().join("\"");
            tags(html).into_iter().map(|tag| quotes(tag).trim_end().to_owned()).collect()
        };
        // Long titles in pictures are cut, and then have a tag with all of it: those aside, the tags are the same.
        let without = |html: &str| -> Vec<String> {
            bare(html)
                .into_iter()
                .filter(|tag| !tag.ends_with("title") && !tag.contains("circle"))
                .collect()
        };
        assert_eq!(without(&harmless), without(&evil));
        assert!(!evil.contains('\u{202e}') && !evil.contains('\u{0}') && !evil.contains("<script"));
    }

    #[test]
    fn nothing_is_loaded_and_nothing_runs() {
        let html = page("x").html();
        for outside in [
            "http:",
            "https:",
            "//",
            "src=",
            "@import",
            "url(",
            "<script",
            "<link rel=\"style",
            " on",
        ] {
            let found = html.find(outside).map(|at| &html[at.saturating_sub(20)..at + 20]);
            let namespace = outside == " on";
            assert!(found.is_none() || namespace, "{outside}: {found:?}");
        }
        assert!(html.contains("default-src 'none'"));
    }

    #[test]
    fn ids_are_there_once_and_what_is_named_is_there() {
        let html = page("x").html();
        let ids: Vec<&str> =
            html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let distinct: std::collections::BTreeSet<&&str> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        for named in html.split("aria-labelledby=\"").skip(1) {
            let named = named.split('"').next().unwrap();
            assert!(named.split(' ').all(|id| ids.contains(&id)), "{named}");
        }
    }

    #[test]
    fn long_words_are_cut_everywhere() {
        let (short, long) = (page("x").html().len(), page(&"x".repeat(1_000_000)).html().len());
        assert!(long < short + 200_000, "{long}");
    }

    #[test]
    fn equal_values_give_equal_bytes() {
        assert_eq!(page("x").html(), page("x").html());
    }
}
