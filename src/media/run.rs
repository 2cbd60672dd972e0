//! The `trun` box (14496-12 §8.8.8): a run of samples.
//!
//! Sums are made without keeping a value for each sample, so that a `trun` that claims four thousand million samples in twenty
//! bytes costs neither memory nor time. Who wants the samples goes through them one by one.

use super::boxes::{Boxed, Fields, wide};
use super::moof::TrexDefaults;
use crate::error::Result;

/// Flags of `trun` (§8.8.8).
pub(super) mod trun_flag {
    pub(in super::super) const DATA_OFFSET: u32 = 0x1;
    pub(in super::super) const FIRST_SAMPLE_FLAGS: u32 = 0x4;
    pub(in super::super) const DURATION: u32 = 0x100;
    pub(in super::super) const SIZE: u32 = 0x200;
    pub(in super::super) const FLAGS: u32 = 0x400;
    pub(in super::super) const COMPOSITION_OFFSET: u32 = 0x800;
}

/// What a `trun` (§8.8.8) comes to.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    /// Where its first byte lies, from the base; `None`: right behind the run before.
    pub(super) data_offset: Option<i32>,
    /// How many bytes its samples have.
    pub(super) bytes: u64,
    /// Which fields its samples have, as in [`trun_flag`].
    pub(super) flags: u32,
    /// How many samples it has, and how long they last together.
    pub(super) samples: u32,
    pub(super) duration: u64,
    /// The earliest presentation time less the decode time of the run; `None` without samples.
    pub(super) presentation_offset: Option<i64>,
    /// The flags of its first sample.
    pub(super) first_flags: u32,
    version: u8,
    defaults: TrexDefaults,
    /// What it says of its first sample's flags, beside all others.
    own_first_flags: Option<u32>,
    entries: Fields<'a>,
}

/// What a `trun` says of one sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunSample {
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
    pub(super) composition_offset: i64,
}

impl<'a> Run<'a> {
    pub(super) fn parse(trun: Boxed<'a>, defaults: TrexDefaults) -> Result<Self> {
        let mut fields = trun.fields();
        let (version, flags) = fields.version_flags()?;
        let has = |flag| flags & flag != 0;
        let samples = fields.u32()?;
        let data_offset =
            if has(trun_flag::DATA_OFFSET) { Some(i32::from_be_bytes(fields.array()?)) } else { None };
        let own_first_flags = if has(trun_flag::FIRST_SAMPLE_FLAGS) { Some(fields.u32()?) } else { None };
        let per_sample =
            [trun_flag::DURATION, trun_flag::SIZE, trun_flag::FLAGS, trun_flag::COMPOSITION_OFFSET];
        let width = 4 * u64::from(per_sample.iter().map(|f| u32::from(has(*f))).sum::<u32>());
        if u64::from(samples) * width > wide(fields.rest().len()) {
            return Err(trun.error(format_args!("claims {samples} samples and has no room for them")));
        }
        let mut run = Run {
            data_offset,
            bytes: 0,
            flags,
            samples,
            duration: 0,
            presentation_offset: None,
            first_flags: 0,
            version,
            defaults,
            own_first_flags,
            entries: fields,
        };
        if width == 0 {
            // 32 by 32 bits: cannot overflow.
            run.bytes = u64::from(samples) * u64::from(defaults.size);
            run.duration = u64::from(samples) * u64::from(defaults.duration);
            run.presentation_offset = (samples > 0).then_some(0);
            run.first_flags = own_first_flags.unwrap_or(defaults.flags);
        } else {
            run.sum_up();
        }
        Ok(run)
    }

    /// Adds up the samples, for which the box has room: sums of 32-bit values fit easily.
    fn sum_up(&mut self) {
        let (mut bytes, mut duration, mut presentation) = (0_u64, 0_u64, None);
        let first = self.each_sample().next();
        for sample in self.each_sample() {
            let decoded = i64::try_from(duration).unwrap_or(i64::MAX);
            let presented = decoded.saturating_add(sample.composition_offset);
            presentation = Some(presentation.map_or(presented, |p: i64| p.min(presented)));
            duration = duration.saturating_add(u64::from(sample.duration));
            bytes = bytes.saturating_add(u64::from(sample.size));
        }
        (self.bytes, self.duration, self.presentation_offset) = (bytes, duration, presentation);
        self.first_flags = first.map_or(self.own_first_flags.unwrap_or(self.defaults.flags), |s| s.flags);
    }

    /// Its samples, in order.
    pub(super) fn each_sample(&self) -> impl Iterator<Item = RunSample> + use<'a> {
        let (flags, version, defaults) = (self.flags, self.version, self.defaults);
        let mut fields = self.entries.clone();
        let mut first_flags = self.own_first_flags;
        // There is room for all of them: it does not end early.
        (0..self.samples).map_while(move |_| {
            let mut field = |flag, default| if flags & flag != 0 { fields.u32().ok() } else { Some(default) };
            let duration = field(trun_flag::DURATION, defaults.duration)?;
            let size = field(trun_flag::SIZE, defaults.size)?;
            let own_flags = field(trun_flag::FLAGS, defaults.flags)?;
            let offset = field(trun_flag::COMPOSITION_OFFSET, 0)?;
            // Version 1 is signed. Some writers of version 0 mean it so too, and an offset of over 2^31 makes no sense.
            let composition_offset = if version == 0 && offset <= i32::MAX.cast_unsigned() {
                i64::from(offset)
            } else {
                i64::from(offset.cast_signed())
            };
            let flags = first_flags.take().unwrap_or(own_flags);
            Some(RunSample { duration, size, flags, composition_offset })
        })
    }
}
