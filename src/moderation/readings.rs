//! Reads a piece of text as a Russian or an English word.
//!
//! A piece has up to three readings: by the look of its letters in either language and, when it is
//! all Latin, by the sound of a Russian word. Which of them are words is for the matcher to say.

use super::{
    matcher::{Kind, Letter, Reading},
    signs::{self, ANY, Choice, NONE, Sign},
    words::{Glyph, Piece},
};

/// How a piece is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tongue {
    /// As Russian.
    Russian,
    /// As Russian in Latin letters, by their look or their sound.
    Sounds,
    /// As English.
    English,
}

/// All readings of a piece.
pub(super) fn readings(piece: &Piece) -> Vec<(Tongue, Reading)> {
    let russian = piece
        .glyphs
        .iter()
        .any(|glyph| matches!(glyph.sign, Sign::Russian(_)));
    let latin = piece
        .glyphs
        .iter()
        .any(|glyph| matches!(glyph.sign, Sign::Latin(_)));
    let mut readings = Vec::new();
    let mut add = |tongue, reading: Option<Reading>| {
        readings.extend(reading.map(|reading| (tongue, reading)));
    };
    if russian {
        add(Tongue::Russian, read(piece, signs::as_russian));
    }
    if latin {
        add(Tongue::English, read(piece, signs::as_english));
    }
    if latin && !russian && !is_formula(piece) {
        let strict = Piece {
            strict: true,
            ..piece.clone()
        };
        add(Tongue::Sounds, read(&strict, signs::looks_russian));
        add(Tongue::Sounds, sound(&strict));
    }
    readings
}

/// Whether a piece is too short and too much masked to be Russian in Latin letters, as `x*y` is.
fn is_formula(piece: &Piece) -> bool {
    piece.glyphs.len() < 4
        && piece
            .glyphs
            .iter()
            .any(|glyph| kind(glyph.sign) == Kind::Mask)
}

fn kind(sign: Sign) -> Kind {
    match sign {
        Sign::Russian(_) | Sign::Latin(_) | Sign::StandIn('@' | '$') => Kind::Real,
        Sign::StandIn('*' | '#') => Kind::Mask,
        _ => Kind::StandIn,
    }
}

/// Reads sign by sign; `None` when a letter cannot be read.
fn read(piece: &Piece, choice: impl Fn(Sign) -> Option<Choice>) -> Option<Reading> {
    let letters: Option<Vec<_>> = piece
        .glyphs
        .iter()
        .map(|glyph| one(glyph, &choice))
        .collect();
    Some(Reading {
        letters: letters?,
        starts: piece.starts.clone(),
        strict: piece.strict,
    })
}

fn one(glyph: &Glyph, choice: impl Fn(Sign) -> Option<Choice>) -> Option<Letter> {
    let kind = kind(glyph.sign);
    let may_be = match choice(glyph.sign) {
        None if kind == Kind::StandIn => [' ', NONE, NONE],
        may_be => may_be?,
    };
    Some(Letter {
        may_be,
        count: 1,
        kind,
    })
}

/// Reads by the sound, pairs such as `sh` being one letter.
fn sound(piece: &Piece) -> Option<Reading> {
    let mut reading = Reading {
        strict: piece.strict,
        ..Reading::default()
    };
    let mut at = 0;
    while let Some(glyph) = piece.glyphs.get(at) {
        if piece.starts.contains(&at) {
            reading.starts.push(reading.letters.len());
        }
        let next = piece.glyphs.get(at + 1);
        let pair = next.and_then(|next| signs::pair(glyph.sign, next.sign));
        let letter = match pair {
            Some(c) => Letter {
                may_be: [c, NONE, NONE],
                count: 1,
                kind: Kind::Real,
            },
            None => one(glyph, signs::sounds_russian)?,
        };
        reading.letters.push(letter);
        at += if pair.is_some() { 2 } else { 1 };
    }
    Some(reading)
}

/// The letters that a sign may be in either language.
pub(super) fn first_letters(glyph: &Glyph) -> impl Iterator<Item = char> + use<> {
    let russian = signs::as_russian(glyph.sign).into_iter().flatten();
    let english = signs::as_english(glyph.sign).into_iter().flatten();
    russian
        .filter(|c| !c.is_ascii())
        .chain(english.filter(char::is_ascii_lowercase))
}

/// Whether a part of a piece is the same as a plain string, under any reading of its signs.
pub(super) fn spells(glyphs: &[Glyph], letters: &[char]) -> bool {
    debug_assert_eq!(glyphs.len(), letters.len());
    glyphs.iter().zip(letters).all(|(glyph, c)| {
        let read = if c.is_ascii() {
            signs::as_english
        } else {
            signs::as_russian
        };
        read(glyph.sign).is_some_and(|may_be| may_be.contains(c) && may_be != ANY)
    })
}
