//! The forms in which an answer may repeat a secret: as it is, as JSON and HTML escape it, and inside of a
//! login.

/// The signs that HTML escapes, with the escapes that are in use for each.
const HTML: [(char, &[&str]); 5] = [
    ('&', &["&amp;"]),
    ('<', &["&lt;"]),
    ('>', &["&gt;"]),
    ('"', &["&quot;", "&#34;", "&#x22;"]),
    ('\'', &["&#39;", "&#x27;", "&apos;"]),
];

/// All forms of some secrets, the longest first: a shorter one may be a part of it.
pub(super) fn forms<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Vec<String> {
    let present = secrets.into_iter().filter(|secret| !secret.is_empty());
    let mut forms: Vec<String> = present.flat_map(forms_of).collect();
    forms.sort_unstable();
    forms.dedup();

    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
}

fn forms_of(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), in_json(secret)];
    // Programs differ in the escapes of quotes.
    forms.extend((0..3).map(|choice| in_html(secret, choice)));
    forms
}

/// A text between the quotes of a JSON string.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn in_html(text: &str, choice: usize) -> String {
    let escape = |character: char| {
        let known = HTML.iter().find(|(sign, _)| *sign == character);
        let escape = known.and_then(|(_, escapes)| escapes.get(choice).or(escapes.first()));
        escape.map_or(character.to_string(), |escape| (*escape).to_owned())
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_forms_of_json_and_html() {
        let found = forms(["", "a\"b&c"]);
        for form in [
            "a\"b&c",
            "a\\\"b&c",
            "a&quot;b&amp;c",
            "a&#34;b&amp;c",
            "a&#x22;b&amp;c",
        ] {
            assert!(found.iter().any(|one| one == form), "{form}");
        }
        assert!(found.is_sorted_by_key(|form| std::cmp::Reverse(form.len())));
        assert_eq!(forms(["plain", "plain"]), ["plain"]);
    }
}
