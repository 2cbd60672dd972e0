//! Numbers in as few bytes as they need: LEB128, signed ones zigzag.

use crate::error::{Error, Kind, Result};

/// What is still to be read.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().ok_or_else(|| damage("it is cut short"))?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damage("a number is too long"))
    }

    pub(super) fn narrow(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| damage("a number is too large"))
    }

    /// A number plus the difference that follows.
    pub(super) fn sum(&mut self, then: u64) -> Result<u64> {
        Ok(unzigzag(then, self.number()?))
    }

    /// So many bytes as they are.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(|| damage("it is cut short"))?;
        self.0 = rest;
        Ok(bytes)
    }

    /// The same, where the count is known.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(|| damage("it is cut short"))?;
        self.0 = rest;
        Ok(*bytes)
    }
}

pub(super) fn damage(what: &str) -> Error {
    Error::new(Kind::Corrupt, what)
}

pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while let more @ 1.. = number >> 7 {
        out.push(low_bits(number, 0x7F) | 0x80);
        number = more;
    }
    out.push(low_bits(number, 0x7F));
}

pub(super) fn put_difference(out: &mut Vec<u8>, now: u64, then: u64) {
    put_number(out, zigzag(now, then));
}

/// The lowest bits of a number, by a mask of less than a byte.
pub(super) fn low_bits(number: u64, mask: u8) -> u8 {
    number.to_le_bytes()[0] & mask
}

/// `now − then`, wrapping, with the sign in the lowest bit.
pub(super) fn zigzag(now: u64, then: u64) -> u64 {
    let difference = now.wrapping_sub(then).cast_signed();
    (difference << 1 ^ difference >> 63).cast_unsigned()
}

pub(super) fn unzigzag(then: u64, difference: u64) -> u64 {
    then.wrapping_add(difference >> 1 ^ (difference & 1).wrapping_neg())
}
