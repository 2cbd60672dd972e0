//! The samples of one track, as the columns that a `moov` has of them (14496-12 §8.6 and §8.7).

use super::aux::Aux;
use super::groups::{Group, Groups};
use crate::error::{Error, Kind, Result};

/// One column of a table: the entries of one box, without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// `stts`: how many samples last how long.
    Durations,
    /// `ctts`: how many samples are presented how much later than they are decoded.
    Compositions,
    /// `stsz`: how long each sample is, in bytes.
    Sizes,
    /// `stsc`: from which chunk on there are how many samples in a chunk, and of which sample entry.
    Chunks,
    /// `stco` or `co64`: where each chunk is, in 64 bits, counted from the body of the `mdat`.
    Offsets,
    /// `stss`: which samples can be decoded without any other.
    Syncs,
    /// `saiz`: how many bytes of auxiliary data each sample has, which is what it takes to decrypt it.
    AuxSizes,
    /// That data.
    Aux,
}

/// All columns, by their number.
pub const COLUMNS: [Column; 8] = [
    Column::Durations,
    Column::Compositions,
    Column::Sizes,
    Column::Chunks,
    Column::Offsets,
    Column::Syncs,
    Column::AuxSizes,
    Column::Aux,
];

impl Column {
    /// How long an entry is, in bytes.
    fn width(self) -> u64 {
        match self {
            Column::Durations | Column::Compositions | Column::Offsets => 8,
            Column::Chunks => 12,
            Column::Sizes | Column::Syncs => 4,
            Column::AuxSizes | Column::Aux => 1,
        }
    }
}

/// One sample of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSample {
    /// How long it is, in bytes.
    pub size: u32,
    /// How long it lasts, in ticks.
    pub duration_ticks: u32,
    /// How much later it is presented than decoded, in ticks; negative ones are made good for the track as a whole.
    pub composition_ticks: i32,
    /// True if it can be decoded without any other.
    pub sync: bool,
}

/// The tables of one track, as they grow.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What was not drained yet.
    ready: [Vec<u8>; COLUMNS.len()],
    /// How many bytes each column has, drained or not.
    bytes: [u64; COLUMNS.len()],
    samples: u64,
    duration_ticks: u64,
    /// The last sample lasts until the next is known to begin.
    last_ticks: Option<u32>,
    durations: Run<u32>,
    compositions: Run<i32>,
    least_composition: i32,
    any_composition: bool,
    any_non_sync: bool,
    /// The chunk that grows: its samples, and their sample entry.
    open_chunk: Option<(u32, u32)>,
    chunks: u32,
    before: Option<(u32, u32)>,
    aux_kind: AuxKind,
    groups: Groups,
}

/// Equal values that follow one another, as one entry.
#[derive(Debug, Clone, Copy, Default)]
struct Run<T> {
    count: u32,
    value: T,
}

/// What the auxiliary data of a track is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum AuxKind {
    /// There is none.
    #[default]
    None,
    /// All samples have some, and a `senc` of these flags could hold it.
    Same { flags: u32 },
    /// Some have none, or other flags.
    Mixed,
}

impl Table {
    /// Begins a chunk: samples that lie one behind another in the file, from `offset` on, in bytes from the body of the `mdat`.
    pub fn open_chunk(&mut self, offset: u64, sample_entry: u32) {
        self.close_chunk();
        self.open_chunk = Some((0, sample_entry));
        self.put(Column::Offsets, &offset.to_be_bytes());
    }

    /// Adds a sample to the chunk that was opened last.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for more than 2^32 samples.
    pub fn push(&mut self, sample: &TableSample) -> Result<()> {
        self.end_last();
        self.last_ticks = Some(sample.duration_ticks);
        self.samples += 1;
        let number = u32::try_from(self.samples);
        let number = number.map_err(|_| Error::new(Kind::Unsupported, "more than 2^32 samples in a file"))?;
        if let Some((count, _)) = &mut self.open_chunk {
            *count += 1;
        }
        self.put(Column::Sizes, &sample.size.to_be_bytes());
        self.any_composition |= sample.composition_ticks != 0;
        self.least_composition = self.least_composition.min(sample.composition_ticks);
        if let Some(ended) = self.compositions.next(sample.composition_ticks) {
            self.put_run(Column::Compositions, ended.count, &ended.value.to_be_bytes());
        }
        if sample.sync {
            self.put(Column::Syncs, &number.to_be_bytes());
        }
        self.any_non_sync |= !sample.sync;
        Ok(())
    }

    /// Adds what it takes to decrypt the samples that come next: all of one fragment.
    pub fn push_aux(&mut self, aux: Option<&Aux>, samples: usize) {
        let now = match aux {
            Some(aux) => AuxKind::Same { flags: aux.flags },
            None if self.aux_kind == AuxKind::None => return,
            None => AuxKind::Mixed,
        };
        let is_first = self.samples == 0;
        match self.aux_kind {
            AuxKind::None if is_first => self.aux_kind = now,
            AuxKind::None => {
                // Those before have none.
                self.aux_kind = AuxKind::Mixed;
                for _ in 0..self.samples {
                    self.put(Column::AuxSizes, &[0]);
                }
            }
            before if before != now => self.aux_kind = AuxKind::Mixed,
            _ => {}
        }
        match aux {
            Some(aux) => {
                let count = samples.min(aux.sizes.len());
                let bytes: usize = aux.sizes[..count].iter().map(|size| usize::from(*size)).sum();
                self.put(Column::AuxSizes, &aux.sizes[..count]);
                self.put(Column::Aux, aux.data.get(..bytes).unwrap_or_default());
            }
            None => self.put(Column::AuxSizes, &vec![0; samples]),
        }
    }

    /// Says to which groups the samples belong that come next: all of one fragment.
    pub fn push_groups(&mut self, groups: &[Group], samples: usize) {
        self.groups.push(groups, self.samples, samples);
    }

    /// Lets the last sample last longer. `false`: it would last too long to be written.
    pub fn lengthen(&mut self, ticks: u64) -> bool {
        // Players take the field for a signed one.
        let most = i32::MAX.unsigned_abs();
        let longer = u32::try_from(ticks).ok().zip(self.last_ticks).and_then(|(t, last)| last.checked_add(t));
        match longer.filter(|longer| *longer <= most) {
            Some(longer) => self.last_ticks = Some(longer),
            None => return ticks == 0,
        }
        true
    }

    /// How long all samples last, in ticks.
    pub fn duration_ticks(&self) -> u64 {
        self.duration_ticks + u64::from(self.last_ticks.unwrap_or(0))
    }

    /// How many samples there are.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// How much has to be added to all composition offsets so that none is below zero, in ticks.
    pub fn composition_shift(&self) -> u32 {
        self.least_composition.unsigned_abs()
    }

    /// Hands out what has grown since the last time, column by column.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn drain(&mut self, mut to: impl FnMut(Column, &[u8]) -> Result<()>) -> Result<()> {
        for (column, ready) in COLUMNS.into_iter().zip(&mut self.ready) {
            if !ready.is_empty() {
                to(column, ready)?;
                ready.clear();
            }
        }
        Ok(())
    }

    /// Ends what grows. Nothing may be added after it; what comes of it is to be drained.
    pub fn finish(&mut self) {
        self.end_last();
        self.last_ticks = None;
        self.close_chunk();
        if let Some(run) = self.durations.end() {
            self.put_run(Column::Durations, run.count, &run.value.to_be_bytes());
        }
        if let Some(run) = self.compositions.end() {
            self.put_run(Column::Compositions, run.count, &run.value.to_be_bytes());
        }
        if self.aux_kind != AuxKind::None {
            let told = self.bytes_of(Column::AuxSizes);
            debug_assert!(told == self.samples, "each sample has a size of its auxiliary data");
        }
    }

    /// How many bytes a column has in the file.
    pub(super) fn bytes_of(&self, column: Column) -> u64 {
        self.bytes[column as usize]
    }

    /// How many entries a column has.
    pub(super) fn entries_of(&self, column: Column) -> u64 {
        self.bytes_of(column) / column.width()
    }

    /// True if any sample is presented later than it is decoded, or earlier.
    pub(super) fn has_compositions(&self) -> bool {
        self.any_composition
    }

    /// True if some samples need others.
    pub(super) fn has_non_sync(&self) -> bool {
        self.any_non_sync
    }

    /// The flags of a `senc` that can hold the auxiliary data; `None` where it cannot.
    pub(super) fn senc_flags(&self) -> Option<u32> {
        if let AuxKind::Same { flags } = self.aux_kind { Some(flags) } else { None }
    }

    /// True if there is auxiliary data.
    pub(super) fn has_aux(&self) -> bool {
        self.aux_kind != AuxKind::None
    }

    /// The groups of its samples.
    pub(super) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Now it is known how long the last sample lasts.
    fn end_last(&mut self) {
        let Some(ticks) = self.last_ticks.take() else { return };
        self.duration_ticks += u64::from(ticks);
        if let Some(ended) = self.durations.next(ticks) {
            self.put_run(Column::Durations, ended.count, &ended.value.to_be_bytes());
        }
    }

    fn close_chunk(&mut self) {
        let Some(chunk) = self.open_chunk.take() else { return };
        self.chunks += 1;
        // One that is like the one before goes without saying.
        if self.before != Some(chunk) {
            let (samples, sample_entry) = chunk;
            let mut entry = [0; 12];
            for (place, number) in entry.chunks_exact_mut(4).zip([self.chunks, samples, sample_entry]) {
                place.copy_from_slice(&number.to_be_bytes());
            }
            self.put(Column::Chunks, &entry);
            self.before = Some(chunk);
        }
    }

    fn put_run(&mut self, column: Column, count: u32, value: &[u8; 4]) {
        let mut entry = [0; 8];
        entry[..4].copy_from_slice(&count.to_be_bytes());
        entry[4..].copy_from_slice(value);
        self.put(column, &entry);
    }

    fn put(&mut self, column: Column, bytes: &[u8]) {
        self.ready[column as usize].extend_from_slice(bytes);
        self.bytes[column as usize] += bytes.len() as u64;
    }
}

impl<T: Copy + PartialEq> Run<T> {
    /// Adds a value; the run that it ends, if it does.
    fn next(&mut self, value: T) -> Option<Run<T>> {
        if self.count > 0 && self.value == value && self.count < u32::MAX {
            self.count += 1;
            return None;
        }
        let before = *self;
        *self = Run { count: 1, value };
        (before.count > 0).then_some(before)
    }

    fn end(&mut self) -> Option<Run<T>> {
        let last = *self;
        self.count = 0;
        (last.count > 0).then_some(last)
    }
}
