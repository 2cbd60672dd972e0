//! What a lack of space held up, told once for each folder, however many cells it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::ChannelReport;
use crate::capture::Captured;
use crate::time::Time;

/// What one full folder held up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The folder.
    pub folder: PathBuf,
    /// The least that was seen to be free there, in bytes.
    pub free_bytes: u64,
    /// How many cells were not begun.
    pub cells: u64,
    /// Of how many channels.
    pub channels: u64,
    /// When the first of them begins to be lost, and of which channel; on that source's clock.
    pub first_loss: Option<(Time, String)>,
}

/// The folders that had too little space.
pub fn shortages(reports: &[ChannelReport]) -> Vec<Shortage> {
    let mut found: BTreeMap<PathBuf, (Shortage, BTreeSet<&str>)> = BTreeMap::new();
    for report in reports {
        for done in &report.done {
            let Ok(Captured::NoSpace(space)) = &done.result else { continue };
            let (folder, free_bytes) = (space.folder.clone(), space.free_bytes);
            let none = || {
                let folder = folder.clone();
                (Shortage { folder, free_bytes, cells: 0, channels: 0, first_loss: None }, BTreeSet::new())
            };
            let (shortage, channels) = found.entry(folder.clone()).or_insert_with(none);
            shortage.free_bytes = shortage.free_bytes.min(free_bytes);
            shortage.cells += 1;
            channels.insert(&report.name);
            let loss = done.decision.deadline.map(|at| (at, report.name.clone()));
            shortage.first_loss = shortage.first_loss.take().into_iter().chain(loss).min();
        }
    }
    let of_folder = |(shortage, channels): (Shortage, BTreeSet<&str>)| Shortage {
        channels: channels.len() as u64,
        ..shortage
    };
    found.into_values().map(of_folder).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::Done;
    use crate::grid::Grid;
    use crate::plan::{Action, Decision, Standing};
    use crate::store::Space;

    fn report(name: &str, losses: &[Option<i64>]) -> ChannelReport {
        let grid = Grid::new(Duration::from_secs(10)).unwrap();
        let done = |(n, loss): (usize, &Option<i64>)| {
            let decision = Decision {
                cell: grid.cell_at(Time::from_s(10 * i64::try_from(n).unwrap())),
                standing: Standing::Ready,
                reason: String::new(),
                deadline: loss.map(Time::from_s),
                action: Some(Action::Capture),
                last_chance: false,
            };
            let space = Space { folder: "/spool".into(), free_bytes: 7 - n as u64 };
            Done { decision, result: Ok(Captured::NoSpace(space)) }
        };
        let done = losses.iter().enumerate().map(done).collect();
        ChannelReport { name: name.to_owned(), error: None, decisions: vec![], notes: vec![], done }
    }

    #[test]
    fn a_full_folder_is_one_shortage_with_the_first_loss_of_all() {
        let reports =
            [report("news", &[Some(500), None]), report("sport", &[Some(400)]), report("films", &[])];
        assert_eq!(
            shortages(&reports),
            [Shortage {
                folder: "/spool".into(),
                free_bytes: 6,
                cells: 3,
                channels: 2,
                first_loss: Some((Time::from_s(400), "sport".to_owned())),
            }]
        );
        assert_eq!(shortages(&reports[2..]), []);
    }
}
