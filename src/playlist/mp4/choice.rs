//! Which tracks are in a file: `video=best`, `audio=eng,nld`, `text=none`.

use std::cmp::Reverse;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};
use crate::track::{Medium, Select, Track};

/// What a word chooses of one medium.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Chosen {
    All,
    None,
    Best,
    /// Those that one of these selects: a height, a bit rate, a language, an id or a name.
    Of(Vec<String>),
}

/// Which tracks are chosen. By default the best pictures, all sound, and all text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice([Chosen; 3]);

const MEDIA: [Medium; 3] = [Medium::Video, Medium::Audio, Medium::Text];

impl Default for Choice {
    fn default() -> Self {
        Self([Chosen::Best, Chosen::All, Chosen::All])
    }
}

impl Choice {
    /// The same, with another choice of one medium: `best`, `all`, `none`, or words with commas between.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a word that is empty.
    pub fn with(mut self, medium: Medium, words: &str) -> Result<Choice> {
        let chosen = match words {
            "all" => Chosen::All,
            "none" => Chosen::None,
            "best" => Chosen::Best,
            words => Chosen::Of(words.split(',').map(str::to_owned).collect()),
        };
        if matches!(&chosen, Chosen::Of(words) if words.iter().any(String::is_empty)) {
            return Err(Error::new(Kind::Usage, format!("\"{medium}={words}\" chooses nothing"))
                .hint(format!("write {medium}=best, {medium}=all, {medium}=none, or {medium}=720")));
        }
        self.0[medium as usize] = chosen;
        Ok(self)
    }

    /// The positions of those that are chosen, in the order of a chunk: pictures first.
    ///
    /// # Errors
    /// [`Kind::Usage`] where a word chooses nothing, with what there is, and where nothing at all is chosen.
    pub fn of(&self, tracks: &[&Track]) -> Result<Vec<usize>> {
        let mut chosen = Vec::new();
        for (medium, choice) in MEDIA.into_iter().zip(&self.0) {
            let there: Vec<usize> = (0..tracks.len()).filter(|n| tracks[*n].medium == medium).collect();
            match choice {
                Chosen::All => chosen.extend(there),
                Chosen::None => {}
                Chosen::Best => {
                    chosen.extend(there.into_iter().min_by_key(|n| Reverse(goodness(tracks[*n]))))
                }
                Chosen::Of(words) => {
                    for word in words {
                        let before = chosen.len();
                        let matching = there.iter().filter(|n| is_meant(word, tracks[**n]));
                        let more: Vec<usize> = matching.filter(|n| !chosen.contains(n)).copied().collect();
                        chosen.extend(more);
                        if chosen.len() == before && !there.iter().any(|n| is_meant(word, tracks[*n])) {
                            return Err(nothing_of(medium, word, tracks));
                        }
                    }
                }
            }
        }
        if chosen.is_empty() {
            return Err(Error::new(Kind::Usage, "none of the tracks is chosen").hint(what_there_is(tracks)));
        }
        chosen.sort_by_key(|n| (tracks[*n].medium, *n));
        Ok(chosen)
    }
}

impl FromStr for Choice {
    type Err = Error;

    /// `video=best`, or `audio`, which means all of them; several with spaces between.
    fn from_str(text: &str) -> Result<Choice> {
        text.split_whitespace().try_fold(Choice::default(), |choice, entry| {
            let (medium, words) = entry.split_once('=').unwrap_or((entry, "all"));
            let medium = medium.parse().map_err(|e: Error| {
                Error::new(Kind::Usage, e.to_string()).hint("write video=best, audio=eng or text=none")
            })?;
            choice.with(medium, words)
        })
    }
}

/// The larger the better.
fn goodness(track: &Track) -> (u64, u64) {
    let pixels = track.size.map_or(0, |(w, h)| u64::from(w) * u64::from(h));
    (track.bandwidth.unwrap_or(0), pixels)
}

fn is_meant(word: &str, track: &Track) -> bool {
    let height = track.size.is_some_and(|(_, height)| word.trim_end_matches('p').parse() == Ok(height));
    let select: Result<Select> = format!("{}={word}", track.medium).parse();
    height || track.name() == word || select.is_ok_and(|select| select.matches(track))
}

fn nothing_of(medium: Medium, word: &str, tracks: &[&Track]) -> Error {
    Error::new(Kind::Usage, format!("{medium}={word}: there is no such track")).hint(what_there_is(tracks))
}

fn what_there_is(tracks: &[&Track]) -> String {
    let all: Vec<String> = tracks.iter().map(|track| track.to_string()).collect();
    format!("there are: {}", all.join(", "))
}
