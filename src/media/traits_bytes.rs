//! The traits of a track as bytes, in the fragment index: some twenty of them, with a codec's name most of these.
//!
//! ```text
//! 4 bits, and what they say, in this order:
//!   1: init (8 bytes, big-endian); edit, signed; reorder, signed; samples; length of codecs; codecs
//!   2: width; height      4: channels      8: scheme (4 bytes), key ID (16 bytes)
//! ```

use super::boxes::wide;
use super::numbers::{Input, damage, put_difference, put_number};
use super::sample_entry::{MAX_CODECS, Protection, is_plain};
use super::traits::Traits;
use crate::error::Result;

const TRAITS: u8 = 1;
const SIZE: u8 = 2;
const CHANNELS: u8 = 4;
const PROTECTION: u8 = 8;

impl Traits {
    /// The bits.
    pub(super) fn bits(&self) -> u8 {
        let bit = |bit: u8, is_set: bool| if is_set { bit } else { 0 };
        TRAITS
            | bit(SIZE, self.size.is_some())
            | bit(CHANNELS, self.channels != 0)
            | bit(PROTECTION, self.protection.is_some())
    }

    /// Appends what the bits say.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.init.to_be_bytes());
        put_difference(out, self.edit_ticks.cast_unsigned(), 0);
        put_difference(out, self.reorder_ticks.cast_unsigned(), 0);
        put_number(out, self.samples);
        let codecs = self.codecs.as_deref().unwrap_or_default();
        put_number(out, wide(codecs.len()));
        out.extend(codecs.as_bytes());
        if let Some((width, height)) = self.size {
            put_number(out, u64::from(width));
            put_number(out, u64::from(height));
        }
        if self.channels != 0 {
            put_number(out, u64::from(self.channels));
        }
        if let Some(Protection { scheme, key_id }) = self.protection {
            out.extend(scheme);
            out.extend(key_id);
        }
    }

    /// Reads what [`Traits::encode`] wrote, by its bits.
    pub(super) fn decode(what: u8, input: &mut Input<'_>) -> Result<Option<Traits>> {
        if what == 0 {
            return Ok(None);
        }
        if what & TRAITS == 0 || what & !(TRAITS | SIZE | CHANNELS | PROTECTION) != 0 {
            return Err(damage("a track has a bit that means nothing"));
        }
        let mut traits = Traits {
            init: u64::from_be_bytes(input.array()?),
            edit_ticks: input.sum(0)?.cast_signed(),
            reorder_ticks: input.sum(0)?.cast_signed(),
            samples: input.number()?,
            codecs: codecs(input)?,
            ..Traits::default()
        };
        if what & SIZE != 0 {
            traits.size = Some((input.narrow()?, input.narrow()?));
        }
        if what & CHANNELS != 0 {
            let channels = u16::try_from(input.number()?);
            traits.channels = channels.map_err(|_| damage("a number is too large"))?;
        }
        if what & PROTECTION != 0 {
            traits.protection = Some(Protection { scheme: input.array()?, key_id: input.array()? });
        }
        Ok(Some(traits))
    }
}

/// A name that may stand in a playlist; none where it is empty.
fn codecs(input: &mut Input<'_>) -> Result<Option<String>> {
    let len = usize::try_from(input.number()?).ok().filter(|len| *len <= MAX_CODECS);
    let bytes = input.bytes(len.ok_or_else(|| damage("the name of a codec is too long"))?)?;
    match std::str::from_utf8(bytes) {
        Ok("") => Ok(None),
        Ok(name) if is_plain(name) => Ok(Some(name.to_owned())),
        _ => Err(damage("the name of a codec is none")),
    }
}
