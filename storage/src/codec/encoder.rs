//! Values to bytes.
//!
//! A struct is its fields in their order, without the zero bytes at its end, behind its length. So a
//! field that is added at the end changes no byte as long as it holds its zero: nodes of two versions
//! write the same record. The record itself has no length before it; it ends where its bytes end.

use serde::ser::{self, Serialize};

use super::{
    decoder::{PADDING, padding_of_record},
    encode_error::EncodeError,
    numbers,
};

/// Appends values to bytes.
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
    /// True if the next value is the record as a whole.
    is_whole: bool,
    /// True if the record as a whole is a struct.
    was_struct: bool,
    /// Zeros that were dropped.
    dropped: usize,
}

impl Encoder {
    /// An encoder that appends to some bytes.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            is_whole: true,
            was_struct: false,
            dropped: 0,
        }
    }

    /// The bytes of the record, without the zeros at its end; `from` is its first byte. A record that is a
    /// struct has dropped its zeros already, and no more of them may go.
    pub(super) fn finish(mut self, from: usize) -> Result<Vec<u8>, EncodeError> {
        if !self.was_struct {
            self.trim(from);
        }

        // A decoder would refuse it.
        if self.dropped > padding_of_record(self.bytes.len() - from) {
            return Err(EncodeError::Zeros);
        }
        Ok(self.bytes)
    }

    /// Drops the zeros at the end, as many as a decoder adds again.
    #[inline]
    fn trim(&mut self, from: usize) {
        let floor = from.max(self.bytes.len().saturating_sub(PADDING));
        while self.bytes.len() > floor && self.bytes.last() == Some(&0) {
            self.bytes.pop();
            self.dropped += 1;
        }
    }

    /// Begins a struct: the record itself, or one within it.
    #[inline]
    fn open(&mut self) -> EncodedStruct<'_> {
        let is_whole = std::mem::take(&mut self.is_whole);
        self.was_struct |= is_whole;
        if !is_whole {
            // Room for the length. Most structs are short.
            self.bytes.push(0);
        }
        EncodedStruct {
            from: self.bytes.len(),
            encoder: self,
            is_whole,
        }
    }

    #[inline]
    fn parts(&mut self) -> EncodedParts<'_> {
        self.is_whole = false;
        EncodedParts(self)
    }

    #[inline]
    fn number(&mut self, number: impl bincode::Encode) {
        numbers::put(&mut self.bytes, number);
    }
}

/// Fields of a struct that is being written.
pub(super) struct EncodedStruct<'a> {
    encoder: &'a mut Encoder,
    /// Offset of its first field.
    from: usize,
    is_whole: bool,
}

impl EncodedStruct<'_> {
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        self.encoder.is_whole = false;
        value.serialize(&mut *self.encoder)
    }

    #[inline]
    fn close(self) -> Result<(), EncodeError> {
        self.encoder.trim(self.from);
        // A zero that is left here would be dropped with those of the struct around this one, and this one
        // would then be shorter than its length.
        if self.encoder.bytes[self.from..].last() == Some(&0) {
            return Err(EncodeError::Zeros);
        }
        if self.is_whole {
            return Ok(());
        }

        let bytes = &mut self.encoder.bytes;
        let len = bytes.len() - self.from;
        if len < 251 {
            bytes[self.from - 1] = len as u8;
            return Ok(());
        }

        // The length needs more room than was left for it.
        let mut head = Vec::with_capacity(9);
        numbers::put(&mut head, len as u64);
        bytes.splice(self.from - 1..self.from, head);
        Ok(())
    }
}

/// Values that follow each other: a list, a tuple, a table.
pub(super) struct EncodedParts<'a>(&'a mut Encoder);

macro_rules! encode_numbers {
    ($($name:ident $number:ty;)*) => {
        $(#[inline]
        fn $name(self, number: $number) -> Result<(), EncodeError> {
            self.number(number);
            Ok(())
        })*
    };
}

impl<'a> ser::Serializer for &'a mut Encoder {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = EncodedParts<'a>;
    type SerializeTuple = EncodedParts<'a>;
    type SerializeTupleStruct = EncodedParts<'a>;
    type SerializeTupleVariant = EncodedParts<'a>;
    type SerializeMap = EncodedParts<'a>;
    type SerializeStruct = EncodedStruct<'a>;
    type SerializeStructVariant = EncodedStruct<'a>;

    encode_numbers! {
        serialize_u16 u16;
        serialize_u32 u32;
        serialize_u64 u64;
        serialize_i16 i16;
        serialize_i32 i32;
        serialize_i64 i64;
    }

    fn serialize_char(self, character: char) -> Result<(), EncodeError> {
        self.serialize_u32(character.into())
    }

    #[inline]
    fn serialize_u8(self, byte: u8) -> Result<(), EncodeError> {
        self.bytes.push(byte);
        Ok(())
    }

    fn serialize_i8(self, byte: i8) -> Result<(), EncodeError> {
        self.serialize_u8(byte as u8)
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), EncodeError> {
        self.serialize_u8(value.into())
    }

    fn serialize_f32(self, number: f32) -> Result<(), EncodeError> {
        self.serialize_u32(number.to_bits())
    }

    fn serialize_f64(self, number: f64) -> Result<(), EncodeError> {
        self.serialize_u64(number.to_bits())
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), EncodeError> {
        self.serialize_bytes(text.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), EncodeError> {
        self.serialize_u8(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        self.is_whole = false;
        self.bytes.push(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), EncodeError> {
        self.open().close()
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.number(index);
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.is_whole = false;
        self.number(index);
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<EncodedParts<'a>, EncodeError> {
        let len = len.ok_or(EncodeError::NoLength)?;
        self.number(len as u64);
        Ok(self.parts())
    }

    #[inline]
    fn serialize_tuple(self, _len: usize) -> Result<EncodedParts<'a>, EncodeError> {
        Ok(self.parts())
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<EncodedParts<'a>, EncodeError> {
        Ok(self.parts())
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<EncodedParts<'a>, EncodeError> {
        self.number(index);
        Ok(self.parts())
    }

    fn serialize_map(self, len: Option<usize>) -> Result<EncodedParts<'a>, EncodeError> {
        self.serialize_seq(len)
    }

    #[inline]
    fn serialize_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<EncodedStruct<'a>, EncodeError> {
        Ok(self.open())
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<EncodedStruct<'a>, EncodeError> {
        self.is_whole = false;
        self.number(index);
        Ok(self.open())
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! parts {
    ($($part:ident $method:ident;)*) => {
        $(impl ser::$part for EncodedParts<'_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
                value.serialize(&mut *self.0)
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                Ok(())
            }
        })*
    };
}

parts! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

impl ser::SerializeMap for EncodedParts<'_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), EncodeError> {
        key.serialize(&mut *self.0)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        value.serialize(&mut *self.0)
    }

    fn end(self) -> Result<(), EncodeError> {
        Ok(())
    }
}

macro_rules! structs {
    ($($part:ident)*) => {
        $(impl ser::$part for EncodedStruct<'_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _name: &'static str,
                value: &T,
            ) -> Result<(), EncodeError> {
                self.field(value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), EncodeError> {
                Err(EncodeError::Skipped(name))
            }

            #[inline]
            fn end(self) -> Result<(), EncodeError> {
                self.close()
            }
        })*
    };
}

structs! { SerializeStruct SerializeStructVariant }
