//! An MP4 reader of a few lines, which knows nothing of the program's own: what a chunk holds, fragment by fragment
//! (ISO/IEC 14496-12).

/// One fragment of a chunk or of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// `tfhd`: which track.
    pub(crate) track_id: u32,
    /// `tfdt`: the decode time, in the track's timescale.
    pub(crate) decode_time: u64,
    /// The payload of `mdat`.
    pub(crate) mdat: Vec<u8>,
}

/// The boxes of `bytes`, one after the other: type and payload.
pub(crate) fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (size, header) = match u32_at(rest, 0) {
            1 => (usize::try_from(u64_at(rest, 8)).unwrap(), 16),
            size => (usize::try_from(size).unwrap(), 8),
        };
        let kind = rest[4..8].try_into().unwrap();
        let payload = &rest[header..size];
        rest = &rest[size..];
        Some((kind, payload))
    })
}

/// The first box of that type below a path of boxes.
pub(crate) fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    let (first, rest) = path.split_first()?;
    let (_, payload) = boxes(bytes).find(|(kind, _)| kind == *first)?;
    if rest.is_empty() { Some(payload) } else { find(payload, rest) }
}

/// The fragments of a chunk or a segment, in file order.
pub(crate) fn fragments(bytes: &[u8]) -> Vec<Fragment> {
    let mut found = Vec::new();
    let mut open = None;
    for (kind, payload) in boxes(bytes) {
        match &kind {
            b"moof" => open = Some(payload),
            b"mdat" => {
                let moof = open.take().expect("an mdat follows its moof");
                let tfdt = find(moof, &[b"traf", b"tfdt"]).unwrap();
                let decode_time = if tfdt[0] == 1 { u64_at(tfdt, 4) } else { u64::from(u32_at(tfdt, 4)) };
                let track_id = u32_at(find(moof, &[b"traf", b"tfhd"]).unwrap(), 4);
                found.push(Fragment { track_id, decode_time, mdat: payload.to_vec() });
            }
            _ => {}
        }
    }
    found
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}
