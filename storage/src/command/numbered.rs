//! Enums whose forms have numbers of their own on the wire.
//!
//! serde numbers the forms of an enum in their order, so that a new one in the middle would change what
//! old bytes mean. Here each number is written beside its form. An unknown number is refused by the
//! decoder, which names it.

/// Declares an enum of single values, each with its number. Calls between nodes use it too.
#[macro_export]
macro_rules! numbered {
    (
        $(#[$meta:meta])* $vis:vis enum $name:ident {
            $($(#[$doc:meta])* $number:literal $form:ident($own:ty),)*
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $($(#[$doc])* $form($own),)*
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let name = stringify!($name);
                match self {
                    $(Self::$form(own) => serializer.serialize_newtype_variant(
                        name,
                        $number,
                        stringify!($form),
                        own,
                    ),)*
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                /// The number of a form that is known.
                struct Number(u32);

                impl<'de> serde::Deserialize<'de> for Number {
                    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                        let number = u32::deserialize(from)?;
                        if [$($number),*].contains(&number) {
                            Ok(Self(number))
                        } else {
                            Err(serde::de::Error::custom(number))
                        }
                    }
                }

                /// Takes the form that a number stands for.
                struct Forms;

                impl<'de> serde::de::Visitor<'de> for Forms {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(stringify!($name))
                    }

                    fn visit_enum<A: serde::de::EnumAccess<'de>>(
                        self,
                        access: A,
                    ) -> Result<$name, A::Error> {
                        use serde::de::VariantAccess;
                        let (Number(number), form) = access.variant()?;
                        match number {
                            $($number => form.newtype_variant().map($name::$form),)*
                            other => unreachable!("{other} is refused by `Number`"),
                        }
                    }
                }

                let forms = &[$(stringify!($form)),*];
                deserializer.deserialize_enum(stringify!($name), forms, Forms)
            }
        }
    };
}
