//! One track of the head: the raw `trak` of its init segment with tables of samples in it, and with another number, other
//! durations and another edit list.

use super::head::{Change, Movie, MovieTrack, Parts, presented};
use super::table::{Column, Table};
use crate::error::{Error, Kind, Result};
use crate::media::boxes::{BoxIter, Boxed};
use crate::media::header::HeaderTrack;

/// How long what follows the duration in a `tkhd` is, in bytes (14496-12 §8.3.2): layer, group, volume, matrix, size.
const TKHD_REST: usize = 60;
/// Where the alternate group is in it.
const ALTERNATE_GROUP: std::ops::Range<usize> = 10..12;

/// Appends the `trak` of the `n`th track.
pub(super) fn put_trak(parts: &mut Parts, movie: &Movie<'_>, n: usize, wide: bool) -> Result<()> {
    let track = &movie.tracks[n];
    let Some(init) = track.inits.first() else {
        return Err(Error::new(Kind::Invalid, "it has no init segment"));
    };
    let Some(trak) = BoxIter::new(&init.trak).next().transpose()? else {
        return Err(Error::new(Kind::Invalid, "its init segment has no trak"));
    };
    parts.put_box(b"trak", |parts| {
        put_tkhd(parts, trak.required(b"tkhd")?, n, track)?;
        put_edts(parts, track)?;
        for child in trak.children() {
            let child = child?;
            match &child.kind.0 {
                // References name tracks by numbers that they do not have here.
                b"tkhd" | b"edts" | b"tref" => {}
                b"mdia" => put_mdia(parts, child, n, track, wide)?,
                _ => parts.bytes(child.bytes),
            }
        }
        Ok(())
    })
}

/// `tkhd`: dates are left out, so that the same media gives the same bytes.
fn put_tkhd(parts: &mut Parts, tkhd: Boxed<'_>, n: usize, track: &MovieTrack<'_>) -> Result<()> {
    let mut fields = tkhd.fields();
    let (version, _) = fields.version_flags()?;
    // Two dates, number, reserved, duration.
    fields.skip(if version == 0 { 20 } else { 32 })?;
    let mut rest: [u8; TKHD_REST] = fields.array()?;
    rest[ALTERNATE_GROUP].copy_from_slice(&track.alternate_group.to_be_bytes());
    parts.put_box(b"tkhd", |parts| {
        // Enabled, or not; in the movie; in previews.
        parts.bytes(&[1, 0, 0, if track.enabled { 7 } else { 6 }]);
        parts.bytes(&[0; 16]);
        parts.bytes(&u32::try_from(n + 1).unwrap_or(u32::MAX).to_be_bytes());
        parts.bytes(&[0; 4]);
        parts.bytes(&presented(track.edits).to_be_bytes());
        parts.bytes(&rest);
        Ok(())
    })
}

/// `edts` with its `elst` (§8.6.6).
fn put_edts(parts: &mut Parts, track: &MovieTrack<'_>) -> Result<()> {
    let shift = i64::from(track.table.composition_shift());
    parts.put_box(b"edts", |parts| {
        parts.put_box(b"elst", |parts| {
            parts.bytes(&[1, 0, 0, 0]);
            parts.bytes(&u32::try_from(track.edits.len()).unwrap_or(u32::MAX).to_be_bytes());
            for edit in track.edits {
                let media = edit.media_ticks.map_or(-1, |ticks| ticks.saturating_add(shift).max(0));
                parts.bytes(&edit.duration_ticks.to_be_bytes());
                parts.bytes(&media.to_be_bytes());
                parts.bytes(&[0, 1, 0, 0]);
            }
            Ok(())
        })
    })
}

fn put_mdia(parts: &mut Parts, mdia: Boxed<'_>, n: usize, track: &MovieTrack<'_>, wide: bool) -> Result<()> {
    parts.put_box(b"mdia", |parts| {
        for child in mdia.children() {
            let child = child?;
            match &child.kind.0 {
                b"mdhd" => put_mdhd(parts, child, track.table)?,
                b"minf" => parts.put_box(b"minf", |parts| {
                    for child in child.children() {
                        let child = child?;
                        match &child.kind.0 {
                            b"stbl" => put_stbl(parts, child, n, track, wide)?,
                            _ => parts.bytes(child.bytes),
                        }
                    }
                    Ok(())
                })?,
                _ => parts.bytes(child.bytes),
            }
        }
        Ok(())
    })
}

/// `mdhd` (§8.4.2): timescale and language stay.
fn put_mdhd(parts: &mut Parts, mdhd: Boxed<'_>, table: &Table) -> Result<()> {
    let mut fields = mdhd.fields();
    let (version, _) = fields.version_flags()?;
    fields.skip(if version == 0 { 8 } else { 16 })?;
    let timescale = fields.u32()?;
    fields.wide(version)?;
    let language: [u8; 4] = fields.array()?;
    parts.put_box(b"mdhd", |parts| {
        parts.bytes(&[1, 0, 0, 0]);
        parts.bytes(&[0; 16]);
        parts.bytes(&timescale.to_be_bytes());
        parts.bytes(&table.duration_ticks().to_be_bytes());
        parts.bytes(&language);
        Ok(())
    })
}

fn put_stbl(parts: &mut Parts, stbl: Boxed<'_>, n: usize, track: &MovieTrack<'_>, wide: bool) -> Result<()> {
    let table = track.table;
    parts.put_box(b"stbl", |parts| {
        put_stsd(parts, stbl.required(b"stsd")?, track)?;
        put_counted(parts, b"stts", n, table, Column::Durations, Change::None)?;
        if table.has_compositions() {
            let change = Change::Compositions(table.composition_shift());
            put_counted(parts, b"ctts", n, table, Column::Compositions, change)?;
        }
        put_counted(parts, b"stsc", n, table, Column::Chunks, Change::None)?;
        put_stsz(parts, n, table)?;
        let name = if wide { b"co64" } else { b"stco" };
        put_counted(parts, name, n, table, Column::Offsets, Change::Offsets { base: 0, wide })?;
        if table.has_non_sync() {
            put_counted(parts, b"stss", n, table, Column::Syncs, Change::None)?;
        }
        let mut groups = Vec::new();
        table.groups().write(&mut groups)?;
        parts.bytes(&groups);
        if table.has_aux() { put_aux(parts, n, table) } else { Ok(()) }
    })
}

/// `stsd` (§8.5.2), with the entries of all inits.
fn put_stsd(parts: &mut Parts, stsd: Boxed<'_>, track: &MovieTrack<'_>) -> Result<()> {
    let version_flags: [u8; 4] = stsd.fields().array()?;
    let entries = HeaderTrack { id: 1, inits: track.inits }.entries();
    parts.put_box(b"stsd", |parts| {
        parts.bytes(&version_flags);
        parts.bytes(&u32::try_from(entries.len()).unwrap_or(u32::MAX).to_be_bytes());
        entries.iter().for_each(|entry| parts.bytes(entry));
        Ok(())
    })
}

/// A box that has a column behind the number of its entries.
fn put_counted(
    parts: &mut Parts,
    kind: &[u8; 4],
    n: usize,
    table: &Table,
    column: Column,
    change: Change,
) -> Result<()> {
    let is_halved = matches!(change, Change::Offsets { wide: false, .. });
    let bytes = table.bytes_of(column) / if is_halved { 2 } else { 1 };
    parts.put_box(kind, |parts| {
        parts.bytes(&[0; 4]);
        parts.bytes(&u32::try_from(table.entries_of(column)).unwrap_or(u32::MAX).to_be_bytes());
        parts.column(n, column, bytes, change);
        Ok(())
    })
}

fn put_stsz(parts: &mut Parts, n: usize, table: &Table) -> Result<()> {
    parts.put_box(b"stsz", |parts| {
        // No size for all.
        parts.bytes(&[0; 8]);
        parts.bytes(&u32::try_from(table.samples()).unwrap_or(u32::MAX).to_be_bytes());
        parts.column(n, Column::Sizes, table.bytes_of(Column::Sizes), Change::None);
        Ok(())
    })
}

/// What it takes to decrypt the samples: in a `senc` (23001-7 §7.2.1, which lets it stand in a `trak`), where some players look
/// for it, and pointed at by `saiz` and `saio` (14496-12 §8.7.8), which is where all others do. In front of them: a player that
/// has read the one passes over the other.
fn put_aux(parts: &mut Parts, n: usize, table: &Table) -> Result<()> {
    let samples = u32::try_from(table.samples()).unwrap_or(u32::MAX).to_be_bytes();
    let bytes = table.bytes_of(Column::Aux);
    match table.senc_flags() {
        Some(flags) => parts.put_box(b"senc", |parts| {
            parts.bytes(&flags.to_be_bytes());
            parts.bytes(&samples);
            parts.column(n, Column::Aux, bytes, Change::None);
            Ok(())
        })?,
        None => parts.put_box(b"free", |parts| {
            parts.column(n, Column::Aux, bytes, Change::None);
            Ok(())
        })?,
    }
    parts.put_box(b"saiz", |parts| {
        parts.bytes(&[0; 5]);
        parts.bytes(&samples);
        parts.column(n, Column::AuxSizes, table.bytes_of(Column::AuxSizes), Change::None);
        Ok(())
    })?;
    parts.put_box(b"saio", |parts| {
        parts.bytes(&[1, 0, 0, 0, 0, 0, 0, 1]);
        parts.aux_at(n);
        Ok(())
    })
}
