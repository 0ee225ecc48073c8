//! One line of a script: a name, words, and words with a key. Double quotes hold spaces.

use notty_storage::model::{Epoch, LeaseId};

/// A parsed command of a script.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What to do.
    pub(crate) name: String,
    /// Words without a key.
    pub(crate) words: Vec<String>,
    keyed: Vec<(String, String)>,
}

impl Line {
    /// Parses a line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut line = Self {
            name: String::new(),
            words: Vec::new(),
            keyed: Vec::new(),
        };
        for token in tokens(text)? {
            match token.split_once('=') {
                Some((key, value)) => line.keyed.push((key.to_owned(), value.to_owned())),
                None if line.name.is_empty() => line.name = token,
                None => line.words.push(token),
            }
        }
        Ok(line)
    }

    /// The word at an index.
    pub(crate) fn word(&self, index: usize) -> Result<&str, String> {
        let word = self.words.get(index).map(String::as_str);
        word.ok_or_else(|| format!("{} needs {} words", self.name, index + 1))
    }

    /// The value of a key.
    pub(crate) fn key(&self, key: &str) -> Option<&str> {
        self.keyed
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a key as a number, or another number.
    pub(crate) fn number(&self, key: &str, otherwise: i64) -> Result<i64, String> {
        match self.key(key) {
            None => Ok(otherwise),
            Some(text) => text
                .parse()
                .map_err(|_| format!("{key}={text} is no number")),
        }
    }

    /// The keys, to find one that a command does not know.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), String> {
        match self
            .keyed
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            Some((key, _)) => Err(format!("{} knows no {key}=", self.name)),
            None => Ok(()),
        }
    }

    /// The lease that `lease=epoch:n` names.
    pub(crate) fn lease(&self) -> Result<LeaseId, String> {
        let text = self.key("lease").ok_or("lease=epoch:n is missing")?;
        let (epoch, n) = text.split_once(':').ok_or("a lease is epoch:n")?;
        let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
        Ok(LeaseId {
            epoch: Epoch(number(epoch)?),
            n: number(n)?,
        })
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let (mut tokens, mut token, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                if !token.is_empty() {
                    tokens.push(std::mem::take(&mut token));
                }
            }
            c => token.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    tokens.extend((!token.is_empty()).then_some(token));
    Ok(tokens)
}

/// Expands `a,c-1..c-3,x..z` to single names.
pub(crate) fn names(list: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for part in list.split(',') {
        match part.split_once("..") {
            None => names.push(part.to_owned()),
            Some((first, last)) => names.extend(range(first, last)?),
        }
    }
    Ok(names)
}

fn range(first: &str, last: &str) -> Result<Vec<String>, String> {
    let stem = first.trim_end_matches(|c: char| c.is_ascii_digit());
    if let (Ok(from), Some(Ok(to))) = (
        first[stem.len()..].parse::<u32>(),
        last.strip_prefix(stem).map(str::parse::<u32>),
    ) {
        return Ok((from..=to).map(|n| format!("{stem}{n}")).collect());
    }
    match (first.as_bytes(), last.as_bytes()) {
        ([from], [to]) => Ok((*from..=*to).map(|b| char::from(b).to_string()).collect()),
        _ => Err(format!("{first}..{last} is no range")),
    }
}
