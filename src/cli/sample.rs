//! Sample customers: the same number gives the same customers. Their phones start with +7000, a
//! code that no operator has: nobody owns them.

const FIRST: [&str; 12] = [
    "Анна",
    "Матвей",
    "Кирилл",
    "Айгуль",
    "Ольга",
    "Арсений",
    "Мария",
    "Тимур",
    "Елена",
    "Павел",
    "Дарья",
    "Ирина",
];
const LAST: [&str; 10] = [
    "Кузьменко",
    "Шевчук",
    "Мороз",
    "Ткаченко",
    "Бондарь",
    "Савчук",
    "Гриценко",
    "Литвин",
    "Черных",
    "Долгих",
];
const OPERATORS: [&str; 4] = ["МТС", "Билайн", "МегаФон", "T2"];
const CITIES: [(&str, &str); 6] = [
    ("moscow", "Europe/Moscow"),
    ("spb", "Europe/Moscow"),
    ("samara", "Europe/Samara"),
    ("ekb", "Asia/Yekaterinburg"),
    ("omsk", "Asia/Omsk"),
    ("novosibirsk", "Asia/Novosibirsk"),
];
const KINDS: [&str; 3] = ["new", "regular", "best"];

/// The header row of the CSV.
pub(super) const HEADER: &str = "id,name,phone,operator,tag,timezone\n";

/// Appends one customer's row.
pub(super) fn row(text: &mut String, n: u64) {
    use std::fmt::Write;
    // Spread by odd factors, so that the lists do not run in step.
    let pick = |factor: u64, len: usize| ((n * factor + n / 7) % len as u64) as usize;
    let (first, last) = (FIRST[pick(5, FIRST.len())], LAST[pick(3, LAST.len())]);
    let operator = OPERATORS[pick(7, OPERATORS.len())];
    let (city, zone) = CITIES[pick(11, CITIES.len())];
    let kind = KINDS[pick(13, KINDS.len())];
    writeln!(
        text,
        "customer-{n:07},{first} {last},+7000{n:07},{operator},clients.{city}.{kind},{zone}"
    )
    .expect("writing to memory cannot fail");
}

/// A stream of rows for an upload, in pieces of a thousand.
pub(super) fn stream(count: u64) -> reqwest::Body {
    let pieces = futures_util::stream::iter((0..=count / 1_000).map(move |piece| {
        let mut text = if piece == 0 {
            HEADER.to_owned()
        } else {
            String::new()
        };
        for n in piece * 1_000..((piece + 1) * 1_000).min(count) {
            row(&mut text, n + 1);
        }
        Ok::<_, std::io::Error>(text)
    }));
    reqwest::Body::wrap_stream(pieces)
}
