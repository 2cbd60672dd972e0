//! `npvr verify` beside a bucket: few requests, no finding where the bucket does not answer, and repair.

use std::fs;

use super::Staged;
use super::proxy::Fault;

/// What the bucket was asked for since so many requests.
fn requests(s: &Staged, since: usize) -> Vec<String> {
    s.proxy.seen()[since..].to_vec()
}

#[test]
fn a_bucket_is_listed_and_no_object_is_asked_for() {
    let s = Staged::new(5, "");
    s.run(&["check"]).expect_silence();
    let before = s.proxy.seen().len();
    s.run(&["verify"]).expect_silence();
    let asked = requests(&s, before);
    assert!(asked.len() == 1 && asked[0].contains("list-type=2"), "{asked:?}");
    s.run(&["verify", "--deep"]).expect_silence();
    let asked = requests(&s, before + 1);
    let read = asked.iter().filter(|r| r.contains(".ismv")).count();
    assert_eq!((read, asked.len()), (6, 7), "{asked:?}");
}

#[test]
fn what_a_listing_omits_is_asked_for_before_it_is_called_missing() {
    let s = Staged::new(5, "");
    s.run(&["check"]).expect_silence();
    s.proxy.fault("GET", "list-type=2", Fault::Omission, 1);
    s.run(&["verify"]).expect_silence();
    s.proxy.assert_all_done();
}

#[test]
fn a_bucket_that_does_not_let_us_in_has_lost_nothing() {
    let s = Staged::new(2, "");
    s.run(&["check"]).expect_silence();
    for (what, more) in [("list-type=2", &["verify", "--repair"][..]), (".ismv", &["verify", "--deep"])] {
        s.proxy.fault("GET", what, Fault::Denied, 100);
        let told = s.run(more).expect(3);
        s.proxy.mend();
        assert!(told.stderr.starts_with("npvr: channel news: could not verify: "), "{told:?}");
        assert!(told.stderr.contains("access denied") && told.stdout.is_empty(), "{told:?}");
    }
    s.run(&["verify", "--deep"]).expect_silence();
    s.assert_sound(3);
}

#[test]
fn what_is_bad_in_a_bucket_is_captured_again_and_a_lost_ledger_is_made_again() {
    let s = Staged::new(4, "");
    s.run(&["check"]).expect_silence();
    let objects = s.objects();
    let file = |n: usize| s.server.folder().join(super::BUCKET).join(&objects[n]);
    let read = || (0..objects.len()).map(|n| fs::read(file(n)).unwrap()).collect::<Vec<_>>();
    let before = read();
    let mut bad = before[1].clone();
    let at = bad.len() / 2;
    bad[at] ^= 1;
    fs::write(file(1), bad).unwrap();
    fs::remove_file(file(2)).unwrap();
    let told = s.run(&["verify", "--deep"]).expect(0);
    assert_eq!(told.stdout.matches(": captured again\n").count(), 2, "{told:?}");
    assert!(read() == before);
    s.assert_sound(5);

    fs::remove_dir_all(s.site.state()).unwrap();
    let told = s.run(&["verify", "--repair"]).expect(0);
    assert_eq!(told.stdout.matches(": written down\n").count(), 5, "{told:?}");
    s.run(&["check"]).expect_silence();
    s.assert_sound(5);
}
