//! The reason of a failed handover, for the log: the status and the beginning of the answer, or the error.
//!
//! A gateway may repeat in its answer what it was sent. Phones, the text of the message and secrets
//! never stand in a log, so they are taken out here, before anything else sees the words.

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::super::Envelope;

/// Characters of a description, at most.
const CHARACTERS: usize = 200;
/// Characters of an answer that are searched for the text and for phones: enough for a description.
const SEARCHED: usize = 2_048;
/// Digits of a phone number, at least: shorter numbers are codes.
const PHONE_DIGITS: usize = 5;
/// Characters of the text that, repeated in an answer, are taken out: fewer are ordinary words.
const TEXT_CHARACTERS: usize = 6;
/// Characters that people write between the digits of a phone number, besides a plus before them.
const SEPARATORS: &str = " -().+/*\u{a0}\u{2011}";
/// Stands for whatever was taken out.
const GAP: char = '…';

/// The reason why a message was not handed over, or may not have been.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection came about.
    NotConnected(String),
    /// No whole answer came in time.
    TimedOut,
    /// The connection ended, or the answer cannot be read.
    Broken(String),
    /// The gateway gave an answer that does not take the message.
    Answer {
        status: u16,
        body: Bytes,
        /// Its meaning by the profile, if there is one.
        why: Option<String>,
    },
}

impl Failure {
    /// The failure in words, without phones, without the message's text, and without secrets: those of the
    /// gateway, and the signature of the address for receipts.
    pub(super) fn describe(&self, envelope: &Envelope<'_>, secrets: &[String]) -> String {
        match self {
            Failure::NotConnected(why) => shorten(&format!("not connected: {why}")),
            Failure::TimedOut => "no whole answer in time".to_owned(),
            Failure::Broken(why) => shorten(why),

            Failure::Answer { status, body, why } => {
                let words = excerpt(body, envelope, secrets);
                let meaning = why.iter().map(|why| format!("{why}: "));
                shorten(&format!("{}{status} {words}", meaning.collect::<String>()))
            }
        }
    }
}

/// An error with its causes, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

/// The beginning of an answer, without what must not be in a log.
fn excerpt(body: &[u8], envelope: &Envelope<'_>, secrets: &[String]) -> String {
    let words = readable(body).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());

    // Before anything is cut: a part of a secret would not be known as one. A page of an error may repeat the
    // address of the request, which has all of them in its encoding.
    let words = unescaped(&words);
    let signature = signature_of(envelope.receipt_url);
    let secrets = secrets.iter().map(String::as_str).chain([signature]);
    let mut words = secrets.fold(words, without_secret);

    // A part of the text or of a phone is known as one, unless it is too short to betray anything.
    cut(&mut words, SEARCHED);
    without_numbers(&without_text(&words, envelope.text))
}

/// The signature in the address for receipts, without the number of its secret; empty without an address.
fn signature_of(receipt_url: &str) -> &str {
    let key = receipt_url.rsplit_once("k=");
    let signature = key.and_then(|(_, key)| key.split_once('.'));
    signature.map_or("", |(_, signature)| signature)
}

/// JSON as the gateway meant it: escapes would hide the text.
fn readable(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    Some(value.to_string())
}

/// Keeps the first characters of words.
fn cut(words: &mut String, characters: usize) {
    if let Some((end, _)) = words.char_indices().nth(characters) {
        words.truncate(end);
    }
}

/// Words without the encoding of addresses and forms, if they have any.
fn unescaped(words: &str) -> String {
    let decode = |word: &str| {
        let is_encoded = word.contains('%');
        let spaced = if is_encoded {
            &word.replace('+', " ")
        } else {
            word
        };
        let decoded = percent_decode_str(spaced).decode_utf8_lossy();
        decoded.into_owned()
    };
    words.split(' ').map(decode).collect::<Vec<_>>().join(" ")
}

fn without_secret(words: String, secret: &str) -> String {
    // An empty one stands between any two characters.
    if secret.is_empty() {
        return words;
    }
    words.replace(secret, &GAP.to_string())
}

/// Takes out whatever is a part of the text, whole or cut, in any letter case.
fn without_text(words: &str, text: &str) -> String {
    let folded_text: String = text.chars().map(fold).collect();
    let least = least_shared(text);

    let words: Vec<char> = words.chars().collect();
    let mut kept = String::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        // From every character anew: a part of the text may begin in the middle of a word.
        let shared = shared(&words[at..], &folded_text);
        if shared >= least {
            kept.push(GAP);
            at += shared;
        } else {
            kept.push(words[at]);
            at += 1;
        }
    }
    kept
}

/// Number of characters that betray the text, at least: all of them where the text is shorter.
fn least_shared(text: &str) -> usize {
    TEXT_CHARACTERS.min(text.chars().count()).max(1)
}

/// One character for one, so that positions in folded words are those in the words themselves.
fn fold(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

/// Number of characters at the beginning of words that stand in a text one after the other.
fn shared(words: &[char], folded_text: &str) -> usize {
    let mut beginning = String::new();
    let mut count = 0;
    for character in words {
        beginning.push(fold(*character));
        if !folded_text.contains(&beginning) {
            break;
        }
        count += 1;
    }
    count
}

/// Takes out numbers that may be phones, with the separators that people write between digits.
fn without_numbers(words: &str) -> String {
    let mut kept = String::with_capacity(words.len());
    // A number that may become a phone, with the separators inside it and after it.
    let mut number = String::new();

    // One character more, which ends a number at the end of the words.
    for character in words.chars().chain([GAP]) {
        let is_separator = !number.is_empty() && SEPARATORS.contains(character);
        if character.is_numeric() || is_separator {
            number.push(character);
            continue;
        }

        if may_be_phone(&number) {
            kept.push(GAP);
        } else {
            kept.push_str(&number);
        }
        number.clear();
        kept.push(character);
    }
    kept.pop();
    kept
}

fn may_be_phone(number: &str) -> bool {
    let digits = number.chars().filter(|part| part.is_numeric()).count();
    digits >= PHONE_DIGITS
}

/// One line of bounded length.
fn shorten(words: &str) -> String {
    let line = one_line(words);
    let line = line.trim();
    if line.chars().count() <= CHARACTERS {
        return line.to_owned();
    }

    // The gap shows that there was more, and counts too.
    let mut beginning: String = line.chars().take(CHARACTERS - 1).collect();
    beginning.push(GAP);
    beginning
}

/// Words with blanks for line breaks and other control characters, which could forge a log line.
fn one_line(words: &str) -> String {
    words.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use notty_storage::{
        Timestamp,
        model::{MessageId, Phone},
    };

    use super::*;

    const TEXT: &str = "Скидка 20% до пятницы, Иван!";

    fn described(status: u16, body: &str) -> String {
        let envelope = Envelope {
            id: MessageId::from_u64((1 << 32) + 7).expect("an id"),
            phone: Phone::parse("+79161112233").expect("a phone number"),
            text: TEXT,
            ends_at: Timestamp::default(),
            receipt_url: "https://sms.example/receipts/default/4294967303?k=1.5VhsFjVIzUpXKtRllNa1rg",
        };
        let body = Bytes::copy_from_slice(body.as_bytes());
        let why = None;
        Failure::Answer { status, body, why }.describe(&envelope, &["s3cret-token".to_owned()])
    }

    #[test]
    fn a_gateway_that_repeats_the_address_for_receipts_does_not_give_its_signature_away() {
        for key in ["1.5VhsFjVIzUpXKtRllNa1rg", "5VhsFjVIzUpXKtRllNa1rg"] {
            let told = described(500, &format!("cannot call /default/1?k={key}"));
            assert!(
                told.contains("cannot call") && !told.contains("5VhsF"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_failure_is_the_status_and_the_beginning_of_the_answer() {
        assert_eq!(described(503, "busy"), "503 busy");
        let body = r#"{"code":17,"message":"no route"}"#;
        assert_eq!(described(500, body), format!("500 {body}"));
        assert_eq!(described(429, ""), "429");
    }

    #[test]
    fn a_failure_is_one_line_of_two_hundred_characters_at_most() {
        let words = described(502, &"<html>\r\n Ж".repeat(100));
        assert_eq!(words.chars().count(), CHARACTERS);
        assert!(!words.chars().any(char::is_control), "{words}");
    }

    #[test]
    fn phones_texts_and_the_token_are_taken_out_in_whatever_form_they_come_back() {
        let escaped = serde_json::json!({ "to": 79161112233_u64, "text": TEXT }).to_string();
        let escaped: String = escaped
            .chars()
            .map(|c| {
                if c.is_ascii() {
                    c.to_string()
                } else {
                    format!("\\u{:04x}", c as u32)
                }
            })
            .collect();
        for body in [
            "bad number +7 (916) 111-22-33, or 79161112233",
            "bad text «скидка 20% до пят…",
            "unknown token s3cret-token",
            &format!("cannot send {TEXT}"),
            &escaped,
        ] {
            let words = described(403, body);
            for part in [
                "916",
                "1112",
                "2233",
                "22-33",
                "кидка",
                "пят",
                "Иван",
                "s3cret",
            ] {
                assert!(!words.contains(part), "{body}: {words}");
            }
            assert!(words.starts_with("403 ") && words.contains(GAP), "{words}");
        }
    }

    #[test]
    fn a_secret_where_a_long_answer_is_cut_is_taken_out() {
        // Digits become one gap, so that the place of the cut comes into the words that are shown.
        let digits = "1".repeat(SEARCHED - 30);
        let ends = (0..30).map(|n| format!("{digits} {}s3cret-token", "x".repeat(n)));
        for end in ends {
            for body in [end.clone(), serde_json::json!({ "a": end }).to_string()] {
                let told = described(500, &body);
                assert!(!told.contains("s3"), "{told}");
            }
        }
    }

    #[test]
    fn codes_stay_readable() {
        let body = "error 1042 at step 3";
        assert_eq!(described(500, body), format!("500 {body}"));
    }
}
