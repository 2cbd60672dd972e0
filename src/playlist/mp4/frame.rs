//! A single picture as a file.

use std::collections::BTreeMap;

use super::FragmentMedia;
use super::film::table_sample;
use crate::error::Result;
use crate::media::{
    Group, HeadPart, Init, Movie, MovieEdit, MovieTrack, Sample, Table, TableSample, movie_head,
};

/// A file of one picture.
#[derive(Debug)]
pub struct Frame {
    /// The head of the file.
    pub head: Vec<u8>,
    /// The picture itself.
    pub sample: Sample,
}

impl Frame {
    /// The last sync sample of a fragment that is presented at or before `at`, in ticks since the Unix epoch; if all come
    /// after it, the first. `None` if it has none.
    ///
    /// # Errors
    /// As [`movie_head`].
    pub fn of(init: &Init, decode_time: u64, media: &FragmentMedia, at: i64) -> Result<Option<Frame>> {
        let edit = init.edit_media_time_ticks();
        let mut decoded = i64::try_from(decode_time).unwrap_or(i64::MAX).saturating_sub(edit);
        let mut found: Option<(usize, &Sample)> = None;
        for (n, sample) in media.samples.samples.iter().enumerate() {
            let is_early = decoded.saturating_add(sample.composition_ticks) <= at;
            if sample.is_sync() && sample.size > 0 && (is_early || found.is_none()) {
                found = Some((n, sample));
            }
            decoded = decoded.saturating_add(i64::from(sample.duration_ticks));
        }
        let Some((n, sample)) = found else { return Ok(None) };
        // Long enough for a player to stop at.
        let duration_ticks = init.timescale().get().max(sample.duration_ticks);
        let mut table = Table::default();
        if let Some(aux) = &media.aux {
            table.push_aux(Some(&aux.only(n)), 1);
        }
        table.push_groups(&only(&media.groups, n), 1);
        table.open_chunk(0, 1);
        table.push(&TableSample { duration_ticks, composition_ticks: 0, ..table_sample(sample)? })?;
        table.finish();
        let edits = [MovieEdit { duration_ticks: u64::from(duration_ticks), media_ticks: Some(0) }];
        let inits = [init.clone()];
        let track =
            MovieTrack { inits: &inits, table: &table, edits: &edits, enabled: true, alternate_group: 0 };
        let media_bytes = u64::from(sample.size);
        let movie = Movie { timescale: init.timescale(), tracks: &[track], note: "", media_bytes };
        let parts = movie_head(&movie)?;
        let mut columns: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        table.drain(|column, bytes| {
            columns.insert(column as usize, bytes.to_vec());
            Ok(())
        })?;
        let bytes = |part: HeadPart| match part {
            HeadPart::Bytes(bytes) => bytes,
            HeadPart::Column { column, change, .. } => {
                change.of(columns.get(&(column as usize)).map_or(&[], Vec::as_slice))
            }
        };
        Ok(Some(Frame { head: parts.into_iter().flat_map(bytes).collect(), sample: *sample }))
    }
}

/// The groups of one sample.
fn only(groups: &[Group], n: usize) -> Vec<Group> {
    let of = |group: &Group| {
        let mut left = n;
        let mut runs = group.runs.iter().skip_while(|(count, _)| {
            let count = usize::try_from(*count).unwrap_or(usize::MAX);
            let is_before = count <= left;
            left = left.saturating_sub(if is_before { count } else { 0 });
            is_before
        });
        let (_, description) = runs.next()?;
        Some(Group { kind: group.kind, runs: vec![(1, description.clone())] })
    };
    groups.iter().filter_map(of).collect()
}
