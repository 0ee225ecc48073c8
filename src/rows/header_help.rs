//! Help for those whose CSV header is refused: the likely reason, and the way out.
//!
//! Files come from spreadsheets and other programs, and a header that names no known column is often
//! no header, or no CSV.

/// The detail about a column that is not known, in lower case.
pub(super) fn unknown(column: &str, known: &str) -> String {
    if column.is_empty() {
        return "a column of the header has no name: delete the column, or the separator at the end of \
                the line if there is none"
            .to_owned();
    }
    if column.starts_with(['{', '[']) {
        return "the file looks like JSON, but is read as CSV: send it as NDJSON, one object a line \
                (--format ndjson, or application/x-ndjson)"
            .to_owned();
    }
    if column.contains(['\t', '|']) {
        return "the header is one column for a reader of CSV: separate columns by `,` or `;`"
            .to_owned();
    }

    if column.starts_with("sep=") {
        return format!("the first line must name the columns: delete the line `{column}`");
    }
    if column.starts_with('+') || column.starts_with(|first: char| first.is_ascii_digit()) {
        return format!(
            "the first line must name the columns, like `id,phone`, but has `{column}`; the columns are \
             {known}"
        );
    }
    format!("there is no column `{column}`; the columns are {known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_header_names_the_way_out() {
        for (column, wanted) in [
            ("", "has no name"),
            ("{\"id\":\"a\"", "--format ndjson"),
            ("id\tphone", "by `,` or `;`"),
            ("id|phone", "by `,` or `;`"),
            ("sep=;", "delete the line `sep=;`"),
            ("+79161112233", "must name the columns, like `id,phone`"),
            ("e-mail", "no column `e-mail`; the columns are id, phone"),
        ] {
            let told = unknown(column, "id, phone");
            assert!(told.contains(wanted), "{column:?}: {told}");
        }
    }
}
