//! Cells that a spreadsheet would take for a formula, and the mark that makes them harmless.
//!
//! Anybody may have chosen a customer's name; `=HYPERLINK(…)` in it would run in the spreadsheet of
//! the person who opens an export. Such a cell gets an apostrophe in front, which spreadsheets read as
//! "this is text". An import removes the apostrophe again, so that a file goes out and in unchanged:
//! the rule for both ways looks at the first character after all leading apostrophes.

use std::borrow::Cow;

/// Characters at the beginning of a cell that make a spreadsheet evaluate it, or, as white space, look
/// at the next character. The wide forms count as the narrow ones in some languages.
const TRIGGERS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Marks a cell as text.
const MARK: char = '\'';

/// True for a cell that begins with a trigger, behind any number of marks.
fn is_dangerous(cell: &str) -> bool {
    cell.trim_start_matches(MARK).starts_with(TRIGGERS)
}

/// The cell as an export writes it.
pub fn escape(cell: &str) -> Cow<'_, str> {
    if is_dangerous(cell) {
        Cow::Owned(format!("{MARK}{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// The cell as it was before [`escape`]. Takes the text by value, because most of the millions of
/// cells of an import are not marked and need no copy.
pub fn unescape(mut cell: String) -> String {
    if cell.starts_with(MARK) && is_dangerous(&cell) {
        cell.remove(0);
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_escaped_cell_begins_a_formula() {
        for cell in [
            "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "-",
        ] {
            assert!(escape(cell).starts_with(MARK), "{cell:?}");
        }
        for cell in ["", "Анна", "a=b", "'", "'quoted'", " =1", "8-800", "1"] {
            assert_eq!(escape(cell), cell);
        }
    }

    #[test]
    fn what_was_escaped_comes_back_whatever_it_was() {
        let beginnings = ["", "'", "''", "'''"];
        let ends = ["", "a", "=1", "+7", "-", "@x", "\tx", "＝x", "\"", "'="];
        for cell in beginnings
            .iter()
            .flat_map(|begin| ends.map(|end| format!("{begin}{end}")))
        {
            let escaped = escape(&cell);
            assert_eq!(unescape(escaped.into_owned()), cell);
        }
    }
}
