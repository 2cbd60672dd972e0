//! `/healthz` and `/readyz`: for whoever restarts a server that is stuck, or sends it no requests while it cannot answer them.
//!
//! What one channel lacks is no reason to take all of them away, so a channel file that cannot be used is not looked at here;
//! `/metrics` counts them. No bucket is asked: a server elsewhere that is slow is not this one's health.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{Method, StatusCode};

use super::{Access, Answer, App, Refusal, Request, Routes, Style};
use crate::error::Error;
use crate::store::DiskStore;

/// Whoever asks waits no longer, also where a file system hangs.
const MOMENT: Duration = Duration::from_secs(2);

pub(super) fn routes(to: &mut Routes) {
    to.add(Method::GET, "/healthz", Style::Plain, Access::Open, alive);
    to.add(Method::GET, "/readyz", Style::Plain, Access::Open, ready);
}

/// Whether the server is alive
#[utoipa::path(get, path = "/healthz", tag = "monitoring", operation_id = "healthz", responses(
    (status = 200, description = "It is", body = String, content_type = "text/plain"),
))]
pub(super) async fn alive(_app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    Ok(well())
}

/// Whether requests can be answered
#[utoipa::path(get, path = "/readyz", tag = "monitoring", operation_id = "readyz", responses(
    (status = 200, description = "They can", body = String, content_type = "text/plain"),
    (status = 503, description = "What is in the way, a line each", body = String, content_type = "text/plain"),
))]
pub(super) async fn ready(app: Arc<App>, _request: Arc<Request>) -> Result<Answer, Refusal> {
    let wrong = |lines: String| Ok(fresh(Answer::text(lines)).with_status(StatusCode::SERVICE_UNAVAILABLE));
    // One look at a time: where a file system hangs, the threads that wait for it do not become more and more.
    let Ok(looking) = Arc::clone(&app.looking).try_lock_owned() else {
        return wrong("the ledger, or the folder of a store, does not answer\n".to_owned());
    };
    let looked = tokio::task::spawn_blocking(move || {
        let faults = faults(&app);
        drop(looking);
        faults
    });
    match tokio::time::timeout(MOMENT, looked).await {
        Ok(Ok(faults)) if faults.is_empty() => Ok(well()),
        Ok(Ok(faults)) => wrong(faults.iter().map(|fault| format!("{fault}\n")).collect()),
        Ok(Err(_)) => wrong("the look at the ledger and the folders came to nothing\n".to_owned()),
        Err(_) => wrong(format!("the ledger, or the folder of a store, did not answer in {MOMENT:?}\n")),
    }
}

/// What keeps requests from being answered.
fn faults(app: &App) -> Vec<Error> {
    let known = match app.place.ledger.channels() {
        Ok(known) => known,
        Err(e) => return vec![e],
    };
    let loaded = match app.channels() {
        Ok(loaded) => loaded,
        Err(e) => return vec![e],
    };
    // Of a channel that was never checked nothing is stored, and its folder is not made yet.
    let on_disk = loaded.channels.iter().filter(|channel| {
        channel.s3.is_none()
            && known.binary_search_by(|name| name.as_str().cmp(channel.name.as_str())).is_ok()
    });
    let folders: BTreeSet<_> =
        on_disk.map(|channel| channel.disk_path.as_deref().unwrap_or(&app.options.archive)).collect();
    folders.into_iter().filter_map(|folder| DiskStore::open(folder).err()).collect()
}

fn well() -> Answer {
    fresh(Answer::text("ok\n"))
}

fn fresh(answer: Answer) -> Answer {
    answer.with_header(CACHE_CONTROL, "no-store")
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::tests::{app, body, request};
    use super::*;
    use crate::time::Time;

    async fn ask(app: &Arc<App>, target: &str) -> (u16, String) {
        let answer = Routes::new().unwrap().answer(app, request(Method::GET, target, &[])).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        (answer.status.as_u16(), body(&answer).to_owned())
    }

    fn add(folder: &TempDir, name: &str, more: &str) {
        let file = folder.path().join(format!("config/channels.d/{name}.toml"));
        std::fs::write(file, format!("channel_url = \"http://127.0.0.1:1/a.isml\"\n{more}\n")).unwrap();
    }

    #[tokio::test]
    async fn a_server_whose_stores_are_there_is_ready_and_one_whose_disk_is_away_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        let disk = folder.path().join("disk");
        add(&folder, "news", "");
        add(&folder, "films", &format!("[disk]\npath = {disk:?}"));
        add(&folder, "bucket", "[s3]\nendpoint = \"http://127.0.0.1:1\"\nbucket = \"b\"");
        add(&folder, "bad", "nonsense = true");
        let well = (200, "ok\n".to_owned());
        assert_eq!(ask(&app, "/readyz").await, well, "nothing is archived yet");
        for channel in ["news", "films", "bucket"] {
            app.place.ledger.open_channel(channel, Time::EPOCH, Time::EPOCH).unwrap();
        }
        let archive = &app.options.archive;
        let (status, text) = ask(&app, "/readyz").await;
        let told: Vec<&str> = text.lines().collect();
        assert_eq!((status, told.len()), (503, 2), "{text}");
        assert!(told[0].starts_with(&format!("store {}: it is not there", disk.display())), "{text}");
        assert!(told[1].starts_with(&format!("store {}: it is not there", archive.display())), "{text}");
        assert_eq!(ask(&app, "/healthz").await, well, "it is alive all the same");
        for folder in [archive, &disk] {
            DiskStore::open_or_create(folder).unwrap();
        }
        assert_eq!(ask(&app, "/readyz").await, well);
    }

    #[tokio::test]
    async fn a_configuration_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        std::fs::write(folder.path().join("config/npvr.toml"), "[state]\nmin_fre = \"1GB\"\n").unwrap();
        let (status, text) = ask(&app, "/readyz").await;
        assert!(status == 503 && text.contains("npvr.toml, line 2") && text.lines().count() == 1, "{text}");
    }

    #[tokio::test]
    async fn who_asks_while_another_look_hangs_does_not_wait_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let app = app(&folder);
        let hangs = Arc::clone(&app.looking).lock_owned().await;
        assert_eq!(ask(&app, "/readyz").await.0, 503);
        drop(hangs);
        assert_eq!(ask(&app, "/readyz").await.0, 200);
    }
}
