//! Archiving into a bucket: the program, a simulated channel, and an S3 server that no one here wrote, with a proxy between
//! them that does what networks and servers do on bad days.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod proxy;
mod verifying;

use std::path::PathBuf;

use common::Site;
use common::live::Live;
use common::s3::{ACCESS, BUCKET, S3Server, SECRET, lines};
use npvr::channel::{S3, S3Keys};
use npvr::ledger::Ledger;
use npvr::secret::Secret;
use npvr::store::{S3Store, Store};
use npvr::time::{Range, Time};

/// A chunk of this length is put in parts.
const LONG: &str = "chunk_duration = \"PT12M\"";

/// A channel's lines for a bucket.
fn bucket(url: &str) -> String {
    lines(url, SECRET)
}

/// A site whose one channel, `news`, is archived into a bucket of the server.
struct Staged {
    live: Live,
    site: Site,
    server: S3Server,
    proxy: proxy::Proxy,
}

impl Staged {
    /// The origin has `cells` cells of ten seconds; `more` are lines of the channel file.
    fn new(cells: i64, more: &str) -> Staged {
        let (live, site, server) = (Live::holding(cells), Site::new(), S3Server::start());
        let proxy = proxy::Proxy::before(server.addr);
        site.channel("news", live.url("news"), &format!("{more}\n{}", bucket(&proxy.url())));
        Staged { live, site, server, proxy }
    }

    /// `npvr` with these arguments.
    #[track_caller]
    fn run(&self, args: &[&str]) -> common::Ran {
        self.site.run(args)
    }

    /// The objects of the bucket, by key.
    fn objects(&self) -> Vec<String> {
        let folder = self.server.folder().join(BUCKET);
        let key = |path: PathBuf| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        common::files_below(&folder).into_iter().map(key).collect()
    }

    /// What the server keeps beside the bucket that a reader never sees: parts of uploads.
    fn parts(&self) -> Vec<PathBuf> {
        let all = common::files_below(self.server.folder());
        let is_part = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(".upload");
        all.into_iter().filter(|p| is_part(p) && !p.to_str().unwrap().contains("tmp")).collect()
    }

    /// Asserts that every row's object is in the bucket as the row says, that chunks join, that every object has its row,
    /// and that so many cells are complete and nothing else.
    #[track_caller]
    fn assert_sound(&self, complete: i64) {
        let status = self.site.status("news");
        let counts = &status["counts"];
        assert_eq!(counts["complete"], complete, "{counts}");
        for other in ["partial", "capturing", "failed", "lost"] {
            assert_eq!(counts[other], 0, "{counts}");
        }
        assert_eq!(self.site.spool(), Vec::<PathBuf>::new());
        let (ledger, all) = (self.site.ledger(), Range::new(Time::EPOCH, Time::MAX));
        let verified = on_the_bucket(&self.server.url(), async |store| {
            npvr::verify::read_all(&ledger, store, "news", all).await.unwrap()
        });
        assert_eq!(verified.problems, Vec::<String>::new());
        let rows = ledger.cells("news", all).unwrap();
        let keys: Vec<String> =
            rows.iter().filter_map(|row| Some(row.stored.as_ref()?.key.clone())).collect();
        assert_eq!(keys, self.objects(), "rows, and objects of the bucket");
    }
}

/// Does something with the bucket, through the server at `url`.
fn on_the_bucket<T>(url: &str, work: impl AsyncFnOnce(&dyn Store) -> T) -> T {
    let keys = S3Keys::Given { access: Secret::new(ACCESS), secret: Secret::new(SECRET), session: None };
    let (bucket, region) = (BUCKET.to_owned(), "us-east-1".to_owned());
    let place = S3 { endpoint: url.parse().unwrap(), bucket, region, path_style: true, keys };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { work(&S3Store::open(&place).await.unwrap()).await })
}

#[test]
fn a_channel_is_archived_into_a_bucket_and_an_empty_run_does_not_ask_for_it() {
    let s = Staged::new(5, "");
    s.run(&["check"]).expect_silence();
    s.assert_sound(6);
    let before = s.proxy.seen().len();
    s.run(&["check"]).expect_silence();
    assert_eq!(s.proxy.seen().len(), before, "{:?}", &s.proxy.seen()[before..]);
    s.live.go_on(common::live::CELL_S);
    s.run(&["check"]).expect_silence();
    s.assert_sound(7);
}

#[test]
fn a_large_chunk_goes_into_the_bucket_in_parts() {
    let s = Staged::new(72, LONG);
    s.run(&["check"]).expect_silence();
    s.assert_sound(2);
    assert!(s.proxy.seen().iter().any(|r| r.contains("partNumber=3&")), "{:#?}", s.proxy.seen());
    assert_eq!(s.parts(), Vec::<PathBuf>::new());
}

#[test]
fn a_new_ledger_finds_the_chunks_of_the_old_one_and_keeps_them() {
    let s = Staged::new(3, "");
    s.run(&["check"]).expect_silence();
    let objects = s.objects();
    std::fs::remove_dir_all(s.site.state()).unwrap();
    let before = s.proxy.seen().len();
    s.run(&["check"]).expect_silence();
    s.assert_sound(4);
    assert_eq!(s.objects(), objects);
    let puts: Vec<String> =
        s.proxy.seen()[before..].iter().filter(|r| r.starts_with("PUT")).cloned().collect();
    assert_eq!(puts, Vec::<String>::new(), "nothing was sent again");
}

#[test]
fn two_channels_in_one_bucket_keep_apart() {
    let s = Staged::new(2, "");
    s.site.channel("news2", s.live.url("news2"), &bucket(&s.proxy.url()));
    s.run(&["check"]).expect_silence();
    let of = |name: &str| s.objects().iter().filter(|key| key.starts_with(name)).count();
    assert_eq!((of("news/"), of("news2/")), (3, 3));
}

#[test]
fn prune_deletes_from_the_bucket_and_what_it_could_not_delete_later() {
    let s = Staged::new(3, "");
    s.run(&["check"]).expect_silence();
    let kept = s.objects();
    s.site.channel(
        "news",
        s.live.url("news"),
        &format!("archive_length = \"PT10S\"\n{}", bucket(&s.proxy.url())),
    );
    s.proxy.fault("POST", "?delete", proxy::Fault::Denied, 1);
    let told = s.run(&["prune", "--force"]).expect(3).stderr;
    assert!(told.contains("delete s3://npvr-test/news/") && told.contains("access denied"), "{told}");
    assert_eq!(s.objects(), kept);
    s.run(&["prune", "--force"]).expect(0);
    assert_eq!(s.objects(), Vec::<String>::new());
    s.proxy.assert_all_done();
}

#[test]
fn keys_that_are_not_in_the_file_come_from_the_environment_or_a_profile() {
    let s = Staged::new(2, "");
    let place = format!("[s3]\nendpoint = {:?}\nbucket = {BUCKET:?}\n", s.server.url());
    let profiles = s.site.config().join("credentials");
    let profile =
        |name: &str| format!("[{name}]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n");
    std::fs::write(&profiles, profile("archive")).unwrap();
    let probe = |more: &str, variables: &[(&str, &str)]| {
        s.site.channel("news", s.live.url("news"), &format!("{place}{more}"));
        let mut command = s.site.command(["channel", "probe", "news"]);
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"] {
            command.env_remove(name);
        }
        command.env("AWS_SHARED_CREDENTIALS_FILE", &profiles).envs(variables.iter().copied());
        common::finish(command)
    };
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    for (more, variables) in
        [("", &keys[..]), ("profile = \"archive\"", &[]), ("", &[("AWS_PROFILE", "archive")])]
    {
        let told = probe(more, variables).expect(0).stdout;
        assert!(told.contains("s3://npvr-test at"), "{told}");
    }
    for (more, said) in
        [("", "there are no keys for the bucket"), ("profile = \"x\"", "no keys in the AWS profile \"x\"")]
    {
        let told = probe(more, &[]).expect(1).stderr;
        assert!(told.contains(said) && told.contains("hint: set access_key and secret_key_file"), "{told}");
    }
}

#[test]
fn a_bucket_is_tried_out_before_a_channel_is_added_and_made_only_if_asked_for() {
    let s = Staged::new(2, "");
    let (url, endpoint) = (s.live.url("sport"), s.server.url());
    let add = |bucket: &str, more: &[&str]| {
        let args =
            ["channel", "add", "sport", "--url", &url, "--s3-endpoint", &endpoint, "--s3-bucket", bucket];
        let keys = ["--s3-access-key", ACCESS, "--s3-secret-key-env", "S3_SECRET", "--no-secure"];
        let mut command = s.site.command(args.iter().chain(&keys).chain(more));
        command.env("S3_SECRET", SECRET);
        common::finish(command)
    };
    let told = add("not-there", &[]).expect(2).stderr;
    assert!(told.contains("channel sport: s3://not-there is not there"), "{told}");
    assert!(told.contains("hint: --create-bucket makes it"), "{told}");
    assert!(!s.site.channel_file("sport").exists());

    let told = add("made-now", &["--create-bucket"]).expect(0);
    assert!(told.stderr.contains("s3://made-now is made"), "{}", told.stderr);
    assert!(told.stdout.contains("s3://made-now at"), "{}", told.stdout);
    assert!(told.stdout.contains("may list, write, read and delete"), "{}", told.stdout);
    assert!(s.server.folder().join("made-now").is_dir());
    let text = std::fs::read_to_string(s.site.channel_file("sport")).unwrap();
    assert!(text.contains("\n[s3]\n") && text.contains("\nsecret_key_env = \"S3_SECRET\"\n"), "{text}");
    let run = |args: &[&str]| {
        let mut command = s.site.command(args);
        command.env("S3_SECRET", SECRET);
        common::finish(command).expect(0).stdout
    };
    let shown = run(&["config", "show", "sport"]);
    assert!(!shown.contains(ACCESS) && shown.contains("s3.bucket"), "{shown}");
    assert!(run(&["channel", "probe", "sport"]).contains("s3://made-now at"));
}

#[test]
fn a_bucket_that_does_not_let_us_in_is_told_with_a_remedy_and_without_the_keys() {
    let s = Staged::new(2, "");
    s.site.channel("news", s.live.url("news"), &lines(&s.proxy.url(), "hunter2"));
    let told = s.run(&["check"]).expect(3);
    let said = "put s3://npvr-test/news/";
    assert!(
        told.stderr.contains(said) && told.stderr.contains("the secret key does not fit"),
        "{}",
        told.stderr
    );
    assert!(told.stderr.contains("hint: "), "{}", told.stderr);
    for shown in [&told.stderr, &told.stdout, &s.run(&["status", "--jobs", "--json"]).stdout] {
        assert!(!shown.contains("hunter2") && !shown.contains(ACCESS), "{shown}");
    }
    let before = s.live.requests();
    s.site.channel("news", s.live.url("news"), &bucket(&s.proxy.url()));
    s.run(&["capture", "news", &s.live.cell_before_end(0).to_string(), "--force"]).expect(0);
    assert_eq!(s.live.requests_since(before).segment, 0, "what was captured is only put");
}
