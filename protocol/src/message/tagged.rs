//! Enums whose tag comes first, as we write them, are read as they come. What serde makes of an internally tagged enum
//! reads everything into a buffer first, since the tag could come last; here that is for the rest of the variants alone.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::value::{
    BorrowedStrDeserializer, CowStrDeserializer, MapAccessDeserializer, SeqAccessDeserializer,
};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// An enum with a variant that is read as it comes.
pub(super) trait Tagged<'de>: Sized {
    /// Name of the field that says which variant it is.
    const TAG: &'static str;
    /// What that says for the variant in question.
    const COMMON: &'static str;

    /// Reads the variant from the fields that follow the tag.
    fn common<D: Deserializer<'de>>(fields: D) -> Result<Self, D::Error>;
    /// Reads any variant from everything.
    fn any<D: Deserializer<'de>>(whole: D) -> Result<Self, D::Error>;
}

/// Reads any variant.
pub(super) fn read<'de, T: Tagged<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(Reader(PhantomData))
}

struct Reader<T>(PhantomData<T>);

impl<'de, T: Tagged<'de>> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map with the field {:?}", T::TAG)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let name = map.next_key_seed(Text)?;
        let tag = match &name {
            Some(name) if *name == T::TAG => Some(map.next_value_seed(Text)?),
            _ => None,
        };
        if tag.as_deref() == Some(T::COMMON) {
            return T::common(MapAccessDeserializer::new(map));
        }
        T::any(MapAccessDeserializer::new(Again { name, value: tag, rest: map }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        T::any(SeqAccessDeserializer::new(seq))
    }
}

/// A map of which a name, and perhaps its value, were read already.
struct Again<'de, A> {
    name: Option<Cow<'de, str>>,
    value: Option<Cow<'de, str>>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Again<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.name.take() {
            Some(name) => give(name, seed).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => give(value, seed),
            None => self.rest.next_value_seed(seed),
        }
    }
}

fn give<'de, S: DeserializeSeed<'de>, E: serde::de::Error>(
    text: Cow<'de, str>,
    seed: S,
) -> Result<S::Value, E> {
    match text {
        Cow::Borrowed(text) => seed.deserialize(BorrowedStrDeserializer::new(text)),
        text => seed.deserialize(CowStrDeserializer::new(text)),
    }
}

/// A text, borrowed where it can be.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
