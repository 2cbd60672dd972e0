//! Server manifests for Unified Origin: `/ism/NAME/START--END.ism`, made by `mp4split` where it is installed, and otherwise
//! written as well as that can be done.
//!
//! The program reads what Remix makes of the playlist of the same range, so it is not run for what the playlist would be
//! refused for. What it says when it fails is the answer, but for what may be a secret: the options of a channel may hold keys
//! of DRM systems, and a program that complains of one repeats it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::{HeaderName, Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::clip::{clip, with_facts};
use super::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::channel::{Channel, S3Keys};
use crate::clip::{Ask, Clip};
use crate::error::{Error, Kind, Result};
use crate::playback;
use crate::playlist;
use crate::program::{self, End, Order, Tail};
use crate::secret::Secret;
use crate::time::human_duration;

/// How a manifest was made, where not by the program.
const HOW: HeaderName = HeaderName::from_static("x-npvr-manifest");

/// Programs that run at once. Each has Remix make a clip, which costs it a second an hour.
static PROGRAMS: Semaphore = Semaphore::const_new(4);
/// When to ask again where all are taken, in seconds.
const TAKEN_S: &str = "10";

/// What an option has to be that is hidden where the program repeats it. Shorter ones are numbers and switches, and hiding them
/// would take half of the letters out of what it says.
const SECRET_BYTES: usize = 6;
/// How much of what the program says is answered, in bytes.
const SAID_BYTES: usize = 16 << 10;
/// How large a manifest may be, in bytes.
const MOST_BYTES: u64 = 4 << 20;

/// The routes of this file.
pub(super) fn routes(to: &mut Routes) {
    to.add_both(Method::GET, "/ism/{name}/{range}", Style::Plain, Access::Read, manifest).dear();
}

/// Server manifest for Unified Origin
#[utoipa::path(get, path = "/ism/{name}/{range}", tag = "playback", operation_id = "ism",
    params(
        ("name" = String, Path, description = "Channel"),
        ("range" = String, Path, description = "`START--END`; `.ism` may follow",
            example = "2019-07-08T06:00:00Z--2019-07-08T06:04:30Z.ism"),
    ),
    responses(
        (status = 200, description = "The manifest; `X-Npvr-Manifest: best-effort` where npvr wrote it itself",
            body = String, content_type = "application/xml"),
        (status = 400, description = "The range, or the dialect, makes no sense", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such channel, or nothing of the range is archived", body = String, content_type = "text/plain"),
        (status = 425, description = "The range is still to come; `Retry-After` says when", body = String, content_type = "text/plain"),
    ))]
pub(super) async fn manifest(app: Arc<App>, request: Arc<Request>) -> Result<Answer, Refusal> {
    let channel = app.channel(request.param("name"))?;
    let text = request.param("range");
    let ask: Ask = text.strip_suffix(".ism").unwrap_or(text).parse()?;
    let clip = clip(&app, &channel, &ask)?;
    let answer = match program(&channel)? {
        Some((program, remix)) => {
            let source = format!("{remix}/{}/{ask}.mp4", channel.name);
            Answer::bytes("application/xml", made(&channel, &program, &source).await?).tagged()
        }
        None => {
            let text = written(&app, &channel, &ask, &clip)?;
            Answer::bytes("application/xml", text).tagged().with_header(HOW, "best-effort")
        }
    };
    Ok(with_facts(answer, &clip))
}

/// The program that makes the channel's manifests, and what it reads from; `None` where npvr is to write them.
///
/// # Errors
/// [`Kind::Config`] where the program is not there, and the channel asks for what only the program can do.
fn program(channel: &Channel) -> Result<Option<(PathBuf, &str)>> {
    let ism = &channel.ism;
    let found = program::find(&ism.program, "[ism] program");
    let of_channel = |e: Error| e.context(format!("channel {}", channel.name));
    match (found, &ism.remix_url) {
        (Ok(program), Some(remix)) => Ok(Some((program, remix.as_str().trim_end_matches('/')))),
        // A manifest without them may play in the clear what is to be encrypted.
        (Ok(_), None) if !ism.options.is_empty() => {
            let error = Error::new(Kind::Config, "[ism] options are given, and remix_url is not");
            Err(of_channel(error.hint("say in [ism] remix_url what the program is to read from")))
        }
        (Err(e), _) if !ism.options.is_empty() || ism.program.contains('/') => Err(of_channel(e)),
        _ => Ok(None),
    }
}

/// The manifest that npvr writes: of the tracks of the last chunk, which are those that the channel has now.
fn written(app: &App, channel: &Channel, ask: &Ask, clip: &Clip) -> Result<String> {
    let name = channel.name.as_str();
    let last = clip.runs().last().and_then(|run| run.chunks.last());
    let tracks = match last {
        Some(cell) => playback::tracks(app.place.ledger.as_ref(), name, *cell)?,
        None => Vec::new(),
    };
    // Without Remix's address beside the manifest: in the reference's chain both have one path.
    let source = match &channel.ism.remix_url {
        Some(remix) => format!("{}/{name}/{ask}.mp4", remix.as_str().trim_end_matches('/')),
        None => format!("{ask}.mp4"),
    };
    Ok(playlist::ism(&source, tracks.iter().map(|row| (row.id, &row.track))))
}

/// The manifest that the program makes of `source`. If nobody waits for it any more, the program is ended.
async fn made(channel: &Channel, program: &Path, source: &str) -> Result<Vec<u8>, Refusal> {
    let ism = &channel.ism;
    let Ok(Ok(_place)) = timeout(ism.timeout, PROGRAMS.acquire()).await else {
        let error =
            Error::new(Kind::TryLater, "other manifests are being made").hint("ask again in a moment");
        return Err(Refusal::from(error).with_header(RETRY_AFTER, TAKEN_S));
    };
    // Nobody else may read it: what it is told may be in it. It goes when this is dropped.
    let folder = tempfile::tempdir().map_err(Error::from)?;
    let file = folder.path().join("clip.ism");
    let args = args(channel, &file, source);
    let order = Order { program, args: &args, env: None, timeout: ism.timeout };
    let mut said = String::new();
    let mut tail = Tail::new(&secrets(channel));
    let end = program::run(&order, &mut tail, |text| {
        said.extend(text.lines().flat_map(|line| [line.trim(), "\n"]));
        let early = said.ceil_char_boundary(said.len().saturating_sub(SAID_BYTES));
        said.drain(..early);
        Ok(())
    });
    let made = match end.await? {
        End::Exit(0) => read(&file),
        End::Exit(code) => Err(bad(format!("it ended with exit code {code}"))),
        End::Signal(signal) => Err(bad(format!("it was ended by signal {signal}"))),
        End::TimedOut => {
            let what = format!("it was ended after {}, its timeout", human_duration(ism.timeout));
            Err((StatusCode::GATEWAY_TIMEOUT, what))
        }
    };
    made.map_err(|(status, what)| {
        let words = if said.is_empty() { "it said nothing" } else { said.trim_end() };
        Refusal::new(status, Error::new(Kind::TryLater, format!("{}: {what}\n{words}", ism.program)))
    })
}

fn bad(what: String) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, what)
}

/// What the program made.
fn read(file: &Path) -> Result<Vec<u8>, (StatusCode, String)> {
    let fault = |what: &str| (StatusCode::BAD_GATEWAY, format!("it ended with exit code 0 and made {what}"));
    match std::fs::metadata(file) {
        Ok(made) if made.len() > MOST_BYTES => Err(fault("a manifest that is too large")),
        Ok(made) if made.len() > 0 => {
            std::fs::read(file).map_err(|e| fault(&format!("a file that cannot be read: {e}")))
        }
        _ => Err(fault("no manifest")),
    }
}

/// What the program is given, in the reference's order: options, the keys of the bucket where the channel says so, the file to
/// make, what to read.
fn args(channel: &Channel, file: &Path, source: &str) -> Vec<String> {
    let mut args = vec!["--hls.client_manifest_version=4".to_owned()];
    args.extend(channel.ism.options.iter().map(|option| option.expose().to_owned()));
    if let (true, Some(s3)) = (channel.ism.s3_keys, &channel.s3)
        && let S3Keys::Given { access, secret, .. } = &s3.keys
    {
        let keys = [("--s3_access_key", access.expose()), ("--s3_secret_key", secret.expose())];
        let all = keys.into_iter().chain([("--s3_region", s3.region.as_str())]);
        args.extend(all.flat_map(|(name, value)| [name.to_owned(), value.to_owned()]));
    }
    args.extend(["-o".to_owned(), file.display().to_string(), source.to_owned()]);
    args
}

/// What is hidden wherever the program says it: values of options, and their parts, in the letters in which it may say them.
fn secrets(channel: &Channel) -> Vec<Secret> {
    let keys = channel.s3.iter().flat_map(|s3| match &s3.keys {
        S3Keys::Given { access, secret, session } => [Some(access), Some(secret), session.as_ref()],
        S3Keys::Profile(_) | S3Keys::Usual => [None, None, None],
    });
    let values = channel.ism.options.iter().flat_map(|option| {
        let value = option.expose().split_once('=').map_or("", |(_, value)| value);
        // The whole first: a part of it that was hidden before would leave the rest on show.
        std::iter::once(value).chain(value.split([':', ',', ';', '=', '&', '?', '/', '@']))
    });
    let all = keys.flatten().map(Secret::expose).chain(values).filter(|value| value.len() >= SECRET_BYTES);
    all.flat_map(|value| [value.to_owned(), value.to_ascii_lowercase(), value.to_ascii_uppercase()])
        .map(Secret::new)
        .collect()
}
