//! Tables, with a head for each column and, where it says so, for each row.

use crate::inline::{Inline, inlines, safe};

/// Most rows that are written.
const ROWS: usize = 2000;

/// A column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// What stands above it.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
}

/// What a column holds, and so how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holds {
    /// Words, which are broken between them.
    #[default]
    Words,
    /// Numbers, which stand right.
    Numbers,
    /// Values of any length, which are broken wherever there is no more room.
    Values,
}

impl Column {
    /// Of words.
    pub fn words(name: &str) -> Self {
        Self { name: name.to_owned(), holds: Holds::Words }
    }

    /// Of numbers.
    pub fn numbers(name: &str) -> Self {
        Self { name: name.to_owned(), holds: Holds::Numbers }
    }

    /// Of values of any length.
    pub fn values(name: &str) -> Self {
        Self { name: name.to_owned(), holds: Holds::Values }
    }

    fn class(&self) -> &'static str {
        match self.holds {
            Holds::Words => "",
            Holds::Numbers => " class=\"number\"",
            Holds::Values => " class=\"long\"",
        }
    }
}

/// What stands in a row and a column.
pub type Cell = Vec<Inline>;

/// A table. The first cell of each row is its head.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// As HTML. It scrolls by itself if it is wider than the page, by the keyboard too.
    pub(crate) fn html(&self) -> String {
        let caption = safe(&self.caption);
        let mut out = format!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\">\n<table>\n<caption>{caption}</caption>\n<thead><tr>"
        );
        for column in &self.columns {
            let class = column.class();
            out.push_str(&format!("<th scope=\"col\"{class}>{}</th>", safe(&column.name)));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for row in self.rows.iter().take(ROWS) {
            out.push_str("<tr>");
            for (n, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                let class = column.class();
                let text = inlines(cell);
                out.push_str(&match n {
                    0 => format!("<th scope=\"row\"{class}>{text}</th>"),
                    _ => format!("<td{class}>{text}</td>"),
                });
            }
            out.push_str("</tr>\n");
        }
        if self.rows.len() > ROWS {
            let more = crate::text::more(self.rows.len() - ROWS, "row");
            out.push_str(&format!(
                "<tr><th scope=\"row\" colspan=\"{}\">{more}</th></tr>\n",
                self.columns.len().max(1)
            ));
        }
        out.push_str("</tbody>\n</table>\n</div>\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_heads_and_names_stay_names() {
        let table = Table {
            caption: "\"><script>".into(),
            columns: vec![Column::words("what"), Column::numbers("<b>")],
            rows: vec![vec![vec![Inline::text("</td>")], vec![Inline::text("1")]]],
        };
        let html = table.html();
        assert!(
            html.contains("<th scope=\"row\">&lt;/td&gt;</th><td class=\"number\">1</td>"),
            "{html}"
        );
        assert!(
            html.contains("<th scope=\"col\" class=\"number\">&lt;b&gt;</th>")
                && !html.contains("<script")
        );
    }

    #[test]
    fn a_million_rows_are_bounded() {
        let rows = vec![vec![vec![Inline::text("x")]]; 1_000_000];
        let table = Table { columns: vec![Column::words("x")], rows, ..Table::default() };
        let html = table.html();
        assert!(html.len() < 100_000 && html.contains("and 998000 more rows"));
    }
}
