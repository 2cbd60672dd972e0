//! From the ranges in a path to their fragments: what all playlists of fragments begin with.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};

use crate::channel::Channel;
use crate::clip::{Ask, Clip, Ending};
use crate::error::{Error, Kind, Result};
use crate::http::clip::{is_there, may_be_there};
use crate::http::{App, Refusal};
use crate::media::read_traits;
use crate::playback::{self, Footage};
use crate::time::{Range, Time};

/// How many headers are read for one playlist, where indexes are from before they had all that one needs; and at once. What
/// is not read makes a playlist longer, and not wrong: each chunk then has an init segment of its own.
const MOST_HEADERS: usize = 256;
const HEADERS_AT_ONCE: usize = 8;

/// What a request asks for, and what there is of it.
pub(super) struct Scene {
    /// The channel.
    pub(super) channel: Arc<Channel>,
    /// The ranges; where the request leaves the end open, it is now.
    pub(super) ask: Ask,
    /// The ranges as the parts of a playlist are asked for: `START--` for one that goes on, and one up to now has the end that
    /// it has for now, so that all parts end alike.
    pub(super) ranges: String,
    /// The clip, and the indexes of its chunks. Of what grows it has what is going to stay as it is.
    pub(super) footage: Footage,
    /// True if there will be more of it.
    pub(super) grows: bool,
    /// Of what grows: the clip with all that is there, and all that is not.
    whole: Option<Clip>,
}

impl Scene {
    /// All that is there of what was asked for, and all that is missing.
    pub(super) fn whole(&self) -> &Clip {
        self.whole.as_ref().unwrap_or(&self.footage.clip)
    }
}

/// What is asked for, before its fragments are looked at.
struct Asked {
    channel: Arc<Channel>,
    now: Time,
    ask: Ask,
    ending: Ending,
    clip: Clip,
}

impl Asked {
    fn read(app: &App, name: &str, ranges: &str) -> Result<Asked, Refusal> {
        let (channel, now) = (app.channel(name)?, app.now());
        let (ask, ending) = Ask::read(ranges, now)?;
        may_be_there(&channel, &ask, now)?;
        let clip = playback::clip(app.place.ledger.as_ref(), name, channel.grid, &ask, now)?;
        is_there(&channel, &ask, &clip)?;
        Ok(Asked { channel, now, ask, ending, clip })
    }

    fn start(&self) -> Option<Time> {
        self.ask.ranges().first().map(|range| range.start)
    }

    /// Up to now is up to what is stored by now.
    fn up_to_now(&self) -> Ask {
        let last = self.clip.runs().last().map(|run| run.range.end);
        let range = self.start().zip(last).map(|(start, end)| Range::new(start, end));
        range.map_or_else(|| self.ask.clone(), Ask::from)
    }
}

/// What is asked for by `ranges`: `START--END`, several with commas between, `START--`, or `START--now`.
///
/// # Errors
/// As [`crate::http::clip::clip`].
pub(super) async fn scene(app: &App, name: &str, ranges: &str) -> Result<Scene, Refusal> {
    let asked = Asked::read(app, name, ranges)?;
    if asked.ending == Ending::Now {
        return shot(app, asked.up_to_now(), &asked).await;
    }
    if asked.ending == Ending::Fixed && !asked.clip.grows() {
        return shot(app, asked.ask.clone(), &asked).await;
    }
    // What is still to come is put behind what is there, and never in between: until it has come, nothing behind it is shown.
    let Asked { channel, now, ask, .. } = &asked;
    let shown = asked.clip.settled().ok_or_else(|| not_yet(channel, ask))?;
    let footage = footage(app, channel, &shown, *now).await?;
    is_there(channel, ask, &footage.clip).map_err(|_| not_yet(channel, ask))?;
    let ranges = match (asked.ending, asked.start()) {
        (Ending::Open, Some(start)) => format!("{start}--"),
        _ => ask.to_string(),
    };
    let Asked { channel, ask, clip, .. } = asked;
    Ok(Scene { channel, ask, ranges, footage, grows: true, whole: Some(clip) })
}

/// The same for a file, which does not grow: all that is there of it by now, also behind what is still to come.
///
/// # Errors
/// As [`scene`].
pub(super) async fn still(app: &App, name: &str, ranges: &str) -> Result<Scene, Refusal> {
    let asked = Asked::read(app, name, ranges)?;
    let ask = if asked.ending == Ending::Fixed { asked.ask.clone() } else { asked.up_to_now() };
    shot(app, ask, &asked).await
}

/// A scene that does not grow.
async fn shot(app: &App, ask: Ask, asked: &Asked) -> Result<Scene, Refusal> {
    let channel = Arc::clone(&asked.channel);
    let footage = footage(app, &channel, &ask, asked.now).await?;
    Ok(Scene { channel, ranges: ask.to_string(), ask, footage, grows: false, whole: None })
}

fn not_yet(channel: &Channel, ask: &Ask) -> Error {
    let what = format!("channel {}: nothing of {ask} is archived", channel.name);
    Error::new(Kind::NotFound, what).hint("not yet: the next check may bring it")
}

async fn footage(app: &App, channel: &Arc<Channel>, ask: &Ask, now: Time) -> Result<Footage> {
    let (ledger, name) = (app.place.ledger.as_ref(), channel.name.as_str());
    let mut footage = playback::footage(ledger, name, channel.grid, ask, now)?;
    learn(app, channel, &mut footage).await?;
    Ok(footage)
}

/// Reads what old indexes lack from the headers of their chunks.
async fn learn(app: &App, channel: &Arc<Channel>, footage: &mut Footage) -> Result<()> {
    let wanted: Vec<_> = footage.headers_wanted().into_iter().take(MOST_HEADERS).collect();
    let read = |wanted: playback::HeaderWanted| async move {
        let header = app.headers.read(app, channel, wanted.cell, wanted.bytes).await?;
        Ok::<_, Error>((wanted.cell, read_traits(&header)?))
    };
    let all = futures_util::stream::iter(wanted).map(read).buffer_unordered(HEADERS_AT_ONCE);
    for (cell, traits) in all.try_collect::<Vec<_>>().await? {
        footage.learn(cell, &traits);
    }
    Ok(())
}
