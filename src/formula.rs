//! Cells that a spreadsheet would take for a formula, and how they are made harmless.
//!
//! A customer's name is text of anybody's; `=HYPERLINK(…)` in it would run in the spreadsheet of
//! whoever opens an export. Such a cell gets an apostrophe before it, which spreadsheets read as
//! "this is text". An import takes the apostrophe off again, so that a file goes out and in
//! unchanged: the rule for both ways looks at the first character after all leading apostrophes.

use std::borrow::Cow;

/// Characters that make a spreadsheet evaluate the cell that they begin, or, as white space, look
/// at the next character for that. The wide forms count as the narrow ones in some languages.
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

/// The cell as it was before [`escape`]. Most cells are not marked, and stay where they are: an
/// import has millions.
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
