//! Bytes to values.
//!
//! Behind the end of a struct stand zeros, as many as are asked for: fields that an older version did
//! not write. Fields that this version does not know are left over at the end of a struct. They are
//! refused, or passed over where only a person reads them.

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::numbers;
use crate::error::DecodeError;

/// Zeros behind the end of a struct, at most. Bounds the memory that a made-up length costs.
pub(super) const PADDING: usize = 64 * 1024;
/// Zeros behind the ends of all structs of a record, at most, however short it is: a few long lists of
/// zeros.
const RECORD_PADDING: usize = 16 * PADDING;
/// Zeros beside these for each byte of the record: more than any struct of one byte has fields.
const PADDING_PER_BYTE: usize = 64;

/// Zeros behind the ends of all structs of a record of so many bytes, at most. Without it, each of many
/// small structs could claim [`PADDING`].
pub(super) const fn padding_of_record(bytes: usize) -> usize {
    RECORD_PADDING + PADDING_PER_BYTE * bytes
}

/// Treatment of fields that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// They are an error: something that must be heeded would be lost.
    Refused,
    /// They are passed over.
    Skipped,
}

/// Takes values from bytes.
pub(super) struct Decoder<'de> {
    /// The rest of the struct that is being read.
    pub(super) rest: &'de [u8],
    /// Zeros read behind its end.
    padded: usize,
    /// Zeros that may still be read in the record.
    budget: usize,
    /// True if the next value is the record as a whole.
    is_whole: bool,
    unknown: Unknown,
}

impl<'de> Decoder<'de> {
    /// A decoder of a record.
    pub(super) fn new(rest: &'de [u8], unknown: Unknown) -> Self {
        Self {
            rest,
            padded: 0,
            budget: padding_of_record(rest.len()),
            is_whole: true,
            unknown,
        }
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, DecodeError> {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                Ok(*byte)
            }
            None => self.pad(1).map(|()| 0),
        }
    }

    /// Takes zeros from behind the end.
    fn pad(&mut self, zeros: usize) -> Result<(), DecodeError> {
        self.padded += zeros;
        if self.padded > PADDING || zeros > self.budget {
            return Err(DecodeError::Ended);
        }
        self.budget -= zeros;
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<u64, DecodeError> {
        // Most numbers are one byte, and a block of customers has thousands of them.
        match self.rest.split_first() {
            Some((byte, rest)) if *byte <= numbers::MOST_OF_BYTE => {
                self.rest = rest;
                Ok((*byte).into())
            }
            _ => self.long_number(),
        }
    }

    fn long_number<T: bincode::Decode<()>>(&mut self) -> Result<T, DecodeError> {
        let taken = numbers::take(&mut self.rest);
        let (number, zeros) = taken.map_err(|_| DecodeError::NoNumber)?;
        self.pad(zeros)?;
        Ok(number)
    }

    /// A length that its bytes allow.
    #[inline]
    fn len(&mut self) -> Result<usize, DecodeError> {
        let len = self.number()?;
        if len > (self.rest.len() + PADDING) as u64 {
            return Err(DecodeError::Ended);
        }
        Ok(len as usize)
    }

    #[inline]
    fn switch(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::NoSwitch(other)),
        }
    }

    /// Bytes that are all there; otherwise `None`, and their zeros must be added.
    #[inline]
    fn take(&mut self, len: usize) -> Option<&'de [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// The last bytes of a struct, with zeros behind them.
    fn take_padded(&mut self, len: usize) -> Result<Vec<u8>, DecodeError> {
        let mut bytes = std::mem::take(&mut self.rest).to_vec();
        self.pad(len - bytes.len())?;
        bytes.resize(len, 0);
        Ok(bytes)
    }

    /// Reads one struct within its own bytes.
    fn within<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let own = if std::mem::take(&mut self.is_whole) {
            std::mem::take(&mut self.rest)
        } else {
            let len = self.len()?;
            // The last byte of a struct is no zero, so that none of it can be missing.
            self.take(len).ok_or(DecodeError::Ended)?
        };

        let outer = std::mem::replace(&mut self.rest, own);
        let padded = std::mem::take(&mut self.padded);
        let value = read(self)?;
        let left = std::mem::replace(&mut self.rest, outer);
        self.padded = padded;

        if !left.is_empty() && self.unknown == Unknown::Refused {
            let bytes = left.len();
            return Err(DecodeError::UnknownFields { of: name, bytes });
        }
        Ok(value)
    }

    #[inline]
    fn items(&mut self, left: usize) -> DecodedItems<'_, 'de> {
        self.is_whole = false;
        DecodedItems {
            decoder: self,
            left,
        }
    }
}

macro_rules! decode_numbers {
    ($($method:ident $visit:ident $number:ty as $widest:ty => $take:ident;)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let number: $widest = self.$take()?;
            let fitting: Result<$number, _> = number.try_into();
            visitor.$visit(fitting.map_err(|_| DecodeError::TooLarge(number.into()))?)
        })*
    };
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = DecodeError;

    // Read at full width, so that a number that is too large is named.
    decode_numbers! {
        deserialize_u16 visit_u16 u16 as u64 => number;
        deserialize_u32 visit_u32 u32 as u64 => number;
        deserialize_u64 visit_u64 u64 as u64 => number;
        deserialize_i16 visit_i16 i16 as i64 => long_number;
        deserialize_i32 visit_i32 i32 as i64 => long_number;
        deserialize_i64 visit_i64 i64 as i64 => long_number;
    }

    #[inline]
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_u8(self.byte()?)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_i8(self.byte()? as i8)
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_bool(self.switch()?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self.number()?;
        let sign = u32::try_from(number).ok().and_then(char::from_u32);
        visitor.visit_char(sign.ok_or(DecodeError::Text)?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self.number()?;
        let bits = u32::try_from(number).map_err(|_| DecodeError::TooLarge(number.into()))?;
        visitor.visit_f32(f32::from_bits(bits))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_f64(f64::from_bits(self.number()?))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let len = self.len()?;
        if let Some(bytes) = self.take(len) {
            let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Text)?;
            return visitor.visit_borrowed_str(text);
        }
        let text = String::from_utf8(self.take_padded(len)?).map_err(|_| DecodeError::Text)?;
        visitor.visit_string(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let len = self.len()?;
        match self.take(len) {
            Some(bytes) => visitor.visit_borrowed_bytes(bytes),
            None => visitor.visit_byte_buf(self.take_padded(len)?),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.is_whole = false;
        if self.switch()? {
            visitor.visit_some(self)
        } else {
            visitor.visit_none()
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.within(name, |_| visitor.visit_unit())
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let len = self.len()?;
        visitor.visit_seq(self.items(len))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(self.items(len))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(self.items(len))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let len = self.len()?;
        visitor.visit_map(self.items(len))
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.within(name, |own| visitor.visit_seq(own.items(fields.len())))
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.is_whole = false;
        visitor.visit_enum(DecodedEnum {
            name,
            decoder: self,
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, DecodeError> {
        Err(de::Error::custom("records do not name their types"))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Values that follow each other.
struct DecodedItems<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> DecodedItems<'_, 'de> {
    #[inline]
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.decoder).map(Some)
    }
}

impl<'de> de::SeqAccess<'de> for DecodedItems<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        self.next(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> de::MapAccess<'de> for DecodedItems<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        self.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// One of several forms of a value, by its number.
struct DecodedEnum<'a, 'de> {
    name: &'static str,
    decoder: &'a mut Decoder<'de>,
}

impl<'de> de::EnumAccess<'de> for DecodedEnum<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), DecodeError> {
        let number = self.decoder.number()?;
        let number = u32::try_from(number).map_err(|_| DecodeError::TooLarge(number.into()))?;

        // The type itself knows its numbers, and refuses others.
        let form: Result<_, DecodeError> = seed.deserialize(number.into_deserializer());
        let of = self.name;
        let form = form.map_err(|_| DecodeError::UnknownNumber { of, number })?;
        Ok((form, self))
    }
}

impl<'de> de::VariantAccess<'de> for DecodedEnum<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        seed.deserialize(self.decoder)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_seq(self.decoder.items(len))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let name = self.name;
        self.decoder
            .within(name, |own| visitor.visit_seq(own.items(fields.len())))
    }
}
