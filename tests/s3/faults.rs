//! Bad days of a bucket cost what they cost and no more.

use std::path::PathBuf;

use futures_util::TryStreamExt;
use npvr::error::Kind;

use super::proxy::Fault;
use super::{LONG, Staged, on_the_bucket};

#[test]
fn what_passes_leaves_no_trace() {
    let s = Staged::new(3, "");
    for fault in [Fault::SlowDown, Fault::ResetInTheMiddle, Fault::ChangedBody, Fault::LostAnswer] {
        s.proxy.fault("PUT", ".ismv", fault, 1);
    }
    s.proxy.fault("HEAD", ".ismv", Fault::SlowDown, 1);
    s.run(&["check"]).expect_silence();
    s.proxy.assert_all_done();
    s.assert_sound(4);
}

#[test]
fn parts_are_sent_again_one_by_one_and_a_lost_answer_to_the_last_request_is_found_out() {
    let s = Staged::new(72, LONG);
    for (part, fault) in [
        ("partNumber=1&", Fault::SlowDown),
        ("partNumber=1&", Fault::ChangedBody),
        ("partNumber=2&", Fault::ResetInTheMiddle),
        ("partNumber=2&", Fault::LostAnswer),
    ] {
        s.proxy.fault("PUT", part, fault, 1);
    }
    s.proxy.fault("POST", "?uploads", Fault::SlowDown, 1);
    s.proxy.fault("POST", "?uploadId=", Fault::LostAnswer, 1);
    s.run(&["check"]).expect_silence();
    s.proxy.assert_all_done();
    s.assert_sound(2);
    let begun = s.proxy.seen().iter().filter(|r| r.ends_with("?uploads=") || r.ends_with("?uploads")).count();
    assert_eq!(begun, 2, "one was refused, and one was enough: {:#?}", s.proxy.seen());
}

#[test]
fn a_spool_outlives_a_failing_store_and_is_put_without_capturing_again() {
    let s = Staged::new(3, "");
    s.proxy.fault("PUT", ".ismv", Fault::Denied, usize::MAX);
    let told = s.run(&["check"]).expect(3).stderr;
    assert!(told.contains("put s3://npvr-test/news/") && told.contains(": access denied"), "{told}");
    assert!(told.contains("hint: the key has to be allowed to list, read, write and delete"), "{told}");
    assert_eq!(s.objects(), Vec::<String>::new());
    s.proxy.mend();
    let before = s.live.requests();
    // A failed cell waits for its time; a person need not.
    let cells = s.live.cell_before_end(2).start.to_string() + "--" + &s.live.end().to_string();
    s.run(&["capture", "news", &cells, "--force"]).expect(0);
    assert_eq!(s.live.requests_since(before).segment, 0, "not one segment was fetched again");
    let jobs = s.site.jobs();
    let log = s.site.run(["log", &jobs[0]["id"].to_string()]).expect(0).stdout;
    assert!(log.contains("bytes in the spool, finished") && log.contains("stored"), "{log}");
}

#[test]
fn a_large_upload_that_fails_is_aborted_and_leaves_no_part() {
    let s = Staged::new(72, LONG);
    s.proxy.fault("PUT", "partNumber=2&", Fault::Denied, usize::MAX);
    s.run(&["check"]).expect(3);
    assert!(s.proxy.seen().iter().any(|r| r.starts_with("DELETE") && r.contains("uploadId=")));
    assert_eq!(s.parts(), Vec::<PathBuf>::new());
    assert_eq!(s.objects().len(), 1, "the short chunk in which the archive begins");
}

#[test]
fn a_reading_goes_on_where_the_connection_broke() {
    let s = Staged::new(1, "");
    s.run(&["check"]).expect_silence();
    let key = s.objects().pop().unwrap();
    let whole = std::fs::read(s.server.folder().join(super::BUCKET).join(&key)).unwrap();
    let read = || {
        on_the_bucket(&s.proxy.url(), async |store| {
            let parts: Result<Vec<_>, _> = store.get(&key, None).await.unwrap().bytes.try_collect().await;
            parts.map(|parts| parts.concat())
        })
    };
    s.proxy.fault("GET", ".ismv", Fault::CutAnswer, 2);
    assert!(read().unwrap() == whole);
    s.proxy.assert_all_done();
    // More than it is worth.
    s.proxy.fault("GET", ".ismv", Fault::CutAnswer, usize::MAX);
    assert_eq!(read().unwrap_err().kind(), Kind::TryLater);
}

#[test]
fn a_listing_that_omits_a_key_is_not_taken_for_its_end() {
    let s = Staged::new(5, "");
    s.run(&["check"]).expect_silence();
    let keys = s.objects();
    s.proxy.fault("GET", "list-type=2", Fault::Omission, 1);
    let url = s.proxy.url();
    let listed = on_the_bucket(&url, async |store| store.list("news/", None, 1000).await.unwrap());
    let listed: Vec<String> = listed.into_iter().map(|object| object.key).collect();
    assert_eq!(listed.len(), keys.len() - 1);
    // And what is not in it is still there when it is asked for.
    let missed = keys.iter().find(|key| !listed.contains(key)).unwrap();
    assert!(on_the_bucket(&url, async |store| store.head(missed).await).is_ok());
}

#[test]
#[ignore = "long: two silences of half a minute"]
fn a_server_that_falls_silent_is_given_up_and_the_chunk_is_put_later() {
    let s = Staged::new(1, "");
    s.proxy.fault("PUT", ".ismv", Fault::Silence, usize::MAX);
    let told = s.run(&["check"]).expect(3).stderr;
    assert!(told.contains("the server was silent for 30s"), "{told}");
    s.proxy.mend();
    let before = s.live.requests();
    s.run(&["capture", "news", &s.live.cell_before_end(0).to_string(), "--force"]).expect(0);
    assert_eq!(s.live.requests_since(before).segment, 0);
}
