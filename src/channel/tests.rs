//! Channel files, right and wrong.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::error::{Error, Kind, Result};

const URL: &str = "channel_url = \"https://example.com/live/news.isml?token=s3cr3t&vbegin=1\"\n";

fn no_secrets(from: &SecretFrom) -> Result<Secret> {
    Err(Error::new(Kind::Config, format!("nobody asked for {from:?}")))
}

fn resolve(text: &str, settings: &str) -> Result<Channel> {
    let settings = Settings::parse(settings, "npvr.toml")?;
    let file = Layer::parse(text, "news.toml")?;
    Channel::resolve(&"news".parse().unwrap(), &file, &settings.defaults, &no_secrets)
}

fn channel(text: &str) -> Channel {
    resolve(&format!("{URL}{text}"), "").unwrap()
}

/// What is said about a file whose second line on is `text`.
fn error(text: &str) -> (String, String) {
    let e = resolve(&format!("{URL}{text}"), "").unwrap_err();
    assert_eq!(e.kind(), Kind::Config, "{e}");
    (e.to_string(), e.remedy().unwrap_or_default().to_owned())
}

#[test]
fn a_url_is_enough() {
    let c = channel("");
    assert!(c.enabled && c.tracks.is_empty() && c.headers.is_empty());
    assert_eq!(c.grid.duration(), Duration::from_secs(300));
    assert_eq!((c.archive_length, c.archive_size), (Duration::from_secs(604_800), None));
    assert_eq!((c.margin, c.settle), (Duration::from_secs(120), None));
    assert_eq!((c.max_connections, c.max_bytes_per_s), (4, Some(25_000_000)));
    assert_eq!((c.connect_timeout, c.read_timeout), (Duration::from_secs(10), Duration::from_secs(20)));
    assert!(c.username.is_none() && c.password.is_none() && c.disk_path.is_none());
}

#[test]
fn every_key_is_read() {
    let c = channel(
        "enabled = false\nchunk_duration = \"PT10S\"\narchive_length = \"P30D\"\n\
         archive_size = \"1.5TB\"\ntracks = [\"video\", \"audio=eng\"]\n\
         margin = \"PT0S\"\nsettle = \"PT8S\"\nmax_connections = 0x10\nmax_rate = \"unlimited\"\nusername = \"u\"\n\
         password = \"p\"\nconnect_timeout = \"2s\"\nread_timeout = \"PT1M\"\n\
         [headers]\nX-Token = \"t\"\n[disk]\npath = \"/srv/x\"\n",
    );
    assert!(!c.enabled);
    assert_eq!(c.grid.duration(), Duration::from_secs(10));
    assert_eq!(c.archive_size, Some(1_500_000_000_000));
    assert_eq!(c.tracks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["video", "audio=eng"]);
    assert_eq!((c.margin, c.settle), (Duration::ZERO, Some(Duration::from_secs(8))));
    assert_eq!((c.max_connections, c.max_bytes_per_s), (16, None));
    assert_eq!((c.username.as_deref(), c.password), (Some("u"), Some(Secret::new("p"))));
    assert_eq!(c.headers, [("x-token".to_owned(), Secret::new("t"))]);
    assert_eq!(c.disk_path.as_deref(), Some(Path::new("/srv/x")));
}

#[test]
fn a_bad_value_names_file_line_key_fault_and_remedy() {
    for (text, said) in [
        (
            "chunk_duration = \"PT5\"",
            "news.toml, line 2: chunk_duration: \"PT5\" is not a duration: a number has no unit",
        ),
        ("\nchunk_duration = \"PT1.5S\"", "news.toml, line 3: chunk_duration: a chunk cannot be PT1.5S long"),
        (
            "chunk_duration = 300",
            "news.toml, line 2: chunk_duration must be text in quotes, and is of type integer",
        ),
        ("archive_length = \"PT4M\"", "news.toml, line 2: archive_length: PT4M is not from PT5M to P36525D"),
        (
            "archive_length = \"P36526D\"",
            "news.toml, line 2: archive_length: P36526D is not from PT5M to P36525D",
        ),
        ("enabled = \"yes\"", "news.toml, line 2: enabled must be true or false, and is of type string"),
        ("max_connections = 0", "news.toml, line 2: max_connections: 0 is not from 1 to 64"),
        (
            "max_connections = -1",
            "news.toml, line 2: max_connections must be a whole number, and is of type integer",
        ),
        ("archive_size = \"2\"", "news.toml, line 2: archive_size: \"2\" is not a size: it has no unit"),
        ("archive_size = \"0TB\"", "news.toml, line 2: archive_size: nothing at all could be kept"),
        ("archive_size = 2", "news.toml, line 2: archive_size must be text in quotes"),
        ("max_rate = \"25Mb\"", "news.toml, line 2: max_rate: \"25Mb\" is not a rate: its unit must be"),
        ("tracks = [\"vidio\"]", "news.toml, line 2: tracks: \"vidio\" is not a medium"),
        ("tracks = [1]", "news.toml, line 2: tracks must be a list of texts"),
        ("read_timeout = \"PT0S\"", "news.toml, line 2: read_timeout: PT0S is not from PT1S to PT10M"),
        ("disk = \"/srv\"", "news.toml, line 2: disk must be a table: [disk]"),
        ("disk.path = \"srv\"", "news.toml, line 2: disk.path: \"srv\" is not an absolute path"),
        ("[disk]\npath = 1", "news.toml, line 3: disk.path must be text in quotes"),
        ("[headers]\nrange = \"x\"", "news.toml, line 3: headers.range: npvr sets this header by itself"),
        ("[headers]\n\"a b\" = \"x\"", "news.toml, line 3: headers.a b: this is not the name of a header"),
        (
            "[headers]\na = \"x\\r\\ny: z\"",
            "news.toml, line 3: headers.a: the value of a header is plain ASCII",
        ),
        ("[headers]\na = \"1\"\nA = \"2\"", "news.toml, line 4: headers.a is given twice"),
        ("password = \"x\"", "news.toml, line 2: a password without a username"),
        (
            "password = \"x\"\npassword_env = \"y\"",
            "news.toml, line 3: both password and password_env are given",
        ),
        ("enabled = true\nenabled = true", "news.toml, line 3: this is not TOML: duplicate key"),
        ("x = ", "news.toml, line 2: this is not TOML: "),
    ] {
        let (what, _) = error(text);
        assert!(what.starts_with(said), "{text:?}:\n {what}\nnot\n {said}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest() {
    for (text, key, hint) in [
        ("chunk_duraton = 1", "chunk_duraton", "did you mean chunk_duration?"),
        ("archive_lenght = 1", "archive_lenght", "did you mean archive_length?"),
        ("[disk]\npaht = 1", "disk.paht", "did you mean disk.path?"),
        ("[unified]\nlicense_file = 1", "unified.license_file", "did you mean unified.licence_file?"),
        ("[dsk]\npath = 1", "dsk", "did you mean disk?"),
        ("xyzzy = 1", "xyzzy", "npvr config show prints the keys that there are"),
    ] {
        let (what, remedy) = error(text);
        assert!(what.contains(&format!("unknown key \"{key}\"")), "{what}");
        assert_eq!(remedy, hint);
    }
    // The first one in the file, not in the alphabet.
    assert!(error("zebra = 1\napple = 1").0.contains("zebra"));
}

#[test]
fn a_url_that_cannot_be_used_is_refused_and_not_repeated() {
    for (url, said) in [
        ("https://me:hunter2@example.com/x.isml", "a user or password stands in the URL"),
        ("https://hunter2@example.com/x.isml", "a user or password stands in the URL"),
        ("ftp://example.com/hunter2", "ftp is neither http nor https"),
        ("hunter2", "this is not a URL"),
        ("https://", "this is not a URL"),
        ("https://example.com/hunter2#x", "has no part after #"),
    ] {
        let e = resolve(&format!("channel_url = \"{url}\""), "").unwrap_err();
        assert!(e.to_string().contains(said), "{url}: {e}");
        assert!(!format!("{e} {:?}", e).contains("hunter2"), "{e:?}");
    }
    let e = resolve("", "").unwrap_err();
    assert_eq!(e.to_string(), "news.toml: channel_url is missing");
    assert!(e.remedy().unwrap().contains("channel_url = "));
}

#[test]
fn later_layers_win_and_each_value_knows_its_origin() {
    let settings =
        "[defaults]\narchive_length = \"P1D\"\nmargin = \"PT1M\"\nheaders.a = \"1\"\nheaders.b = \"1\"\n";
    let text = format!("{URL}archive_length = \"P2D\"\n[headers]\nB = \"2\"\n");
    let c = resolve(&text, settings).unwrap();
    assert_eq!(c.archive_length, Duration::from_secs(172_800));
    assert_eq!(c.headers, [("a".to_owned(), Secret::new("1")), ("b".to_owned(), Secret::new("2"))]);
    let shown: Vec<_> =
        c.effective().iter().map(|s| format!("{} = {} ({})", s.key, s.shown, s.origin)).collect();
    assert_eq!(
        shown,
        [
            "channel_url = \"https://example.com/live/news.isml?token=<redacted>&vbegin=<redacted>\" (news.toml, line 1)",
            "enabled = true (default)",
            "chunk_duration = \"PT5M\" (default)",
            "archive_length = \"P2D\" (news.toml, line 2)",
            "tracks = [] (default)",
            "margin = \"PT1M\" (npvr.toml, line 3)",
            "max_connections = 4 (default)",
            "max_rate = \"25MB/s\" (default)",
            "engine = \"native\" (default)",
            "smil_dialect = \"classic\" (default)",
            "connect_timeout = \"PT10S\" (default)",
            "read_timeout = \"PT20S\" (default)",
            "headers.a = <redacted> (npvr.toml, line 4)",
            "headers.b = <redacted> (news.toml, line 4)",
        ]
    );
}

#[test]
fn a_channel_may_lift_the_size_that_all_others_have() {
    let size = |text: &str| {
        resolve(&format!("{URL}{text}"), "[defaults]\narchive_size = \"1TB\"").unwrap().archive_size
    };
    assert_eq!(size(""), Some(1_000_000_000_000));
    assert_eq!(size("archive_size = \"2TB\""), Some(2_000_000_000_000));
    assert_eq!(size("archive_size = \"unlimited\""), None);
}

#[test]
fn a_password_comes_from_one_place_and_the_nearer_layer_decides() {
    let look_up = |from: &SecretFrom| Ok(Secret::new(format!("{from:?}")));
    let password = |text: &str, settings: &str| {
        let settings = Settings::parse(settings, "npvr.toml").unwrap();
        let file = Layer::parse(&format!("{URL}username = \"u\"\n{text}"), "news.toml").unwrap();
        let c = Channel::resolve(&"news".parse().unwrap(), &file, &settings.defaults, &look_up).unwrap();
        c.password.unwrap().expose().to_owned()
    };
    let defaults = "[defaults]\npassword = \"common\"";
    assert_eq!(password("", defaults), "common");
    assert_eq!(password("password_env = \"X\"", defaults), "Env(\"X\")");
    assert_eq!(password("password_file = \"/x\"", defaults), "File(\"/x\")");
    assert_eq!(password("password = \"own\"", "[defaults]\npassword_env = \"X\""), "own");
    let e = resolve(&format!("{URL}username = \"u\"\npassword_env = \"X\""), "").unwrap_err();
    assert_eq!(e.to_string(), "news.toml, line 3: password_env: nobody asked for Env(\"X\")");
}

const S3_KEYS: &str = "[s3]\nendpoint = \"minio:9000\"\nsecure = false\nbucket = \"npvr-demo\"\nregion = \"default\"\n\
                       access_key = \"minioadmin\"\nsecret_key = \"hunter2\"\n";

#[test]
fn the_bucket_of_the_reference_is_read_and_its_keys_are_not_shown() {
    let c = channel(S3_KEYS);
    let s3 = c.s3.clone().unwrap();
    assert_eq!((s3.endpoint.as_str(), s3.bucket.as_str()), ("http://minio:9000/", "npvr-demo"));
    assert_eq!((s3.region.as_str(), s3.path_style), ("default", true));
    let (access, secret) = (Secret::new("minioadmin"), Secret::new("hunter2"));
    assert_eq!(s3.keys, S3Keys::Given { access, secret, session: None });
    let shown = format!("{c:?} {s3:?} {:?}", c.effective());
    assert!(!shown.contains("minioadmin") && !shown.contains("hunter2"), "{shown}");
    assert!(c.effective().iter().any(|s| s.key == "s3.path_style" && s.origin == Origin::Default));
    assert!(
        channel("").effective().iter().all(|s| !s.key.starts_with("s3.")),
        "no bucket, no defaults of one"
    );
}

#[test]
fn a_bucket_that_cannot_be_meant_is_refused() {
    for (text, said) in [
        (
            "[s3]\nbucket = \"abc\"\n[disk]\npath = \"/srv\"",
            "news.toml, line 3: both disk.path and s3.bucket are given",
        ),
        ("[s3]\nendpoint = \"minio\"", "news.toml: s3.bucket is missing"),
        ("[s3]\nbucket = \"a/b\"", "news.toml, line 3: s3.bucket: \"a/b\" cannot be the name of a bucket"),
        (
            "[s3]\nbucket = \"abc\"\nsecret_key = \"x\"",
            "news.toml, line 4: a secret key without an access key",
        ),
        (
            "[s3]\nbucket = \"abc\"\naccess_key_env = \"X\"",
            "news.toml, line 4: s3.access_key_env: nobody asked",
        ),
        (
            "[s3]\nbucket = \"abc\"\naccess_key = \"x\"",
            "news.toml, line 4: an access key without a secret key",
        ),
        (
            "[s3]\nbucket = \"abc\"\naccess_key = \"x\"\nprofile = \"y\"",
            "news.toml, line 5: both s3.access_key and s3.profile are given",
        ),
        (
            "[s3]\nbucket = \"abc\"\nsecure = true\nendpoint = \"http://x\"",
            "news.toml, line 5: s3.endpoint: s3.secure says one thing",
        ),
    ] {
        let (what, _) = error(text);
        assert!(what.starts_with(said), "{text:?}:\n {what}\nnot\n {said}");
    }
}

#[test]
fn the_store_of_a_channel_puts_out_that_of_the_defaults() {
    let to_s3 = format!("[defaults.s3]\n{}", S3_KEYS.trim_start_matches("[s3]\n"));
    let with = |text: &str, settings: &str| resolve(&format!("{URL}{text}"), settings).unwrap();
    let c = with("[disk]\npath = \"/srv\"", &to_s3);
    assert!(c.s3.is_none() && c.disk_path.is_some());
    let c = with(S3_KEYS, "[defaults.disk]\npath = \"/srv\"");
    assert!(c.s3.is_some() && c.disk_path.is_none());
    // The defaults' server and keys, a bucket of one's own.
    let c = with("[s3]\nbucket = \"mine\"", &to_s3);
    let s3 = c.s3.unwrap();
    assert_eq!((s3.bucket.as_str(), s3.endpoint.as_str()), ("mine", "http://minio:9000/"));
    let c = with("[s3]\nprofile = \"archive\"", &to_s3);
    assert_eq!(c.s3.unwrap().keys, S3Keys::Profile("archive".to_owned()));
    let c = with("[s3]\nbucket = \"abc\"\n", "");
    assert_eq!(c.s3.unwrap().endpoint.as_str(), "https://s3.us-east-1.amazonaws.com/");
}

#[test]
fn the_program_of_unified_streaming_is_run_as_the_channel_says() {
    const PLAIN: &str =
        "channel_url = \"https://example.com/live/news.isml?fixed_gop=0\"\nengine = \"unified\"\n";
    let look_up = |from: &SecretFrom| Ok(Secret::new(format!("{from:?}")));
    let engine = |text: &str| {
        let file = Layer::parse(&format!("{PLAIN}{text}"), "news.toml").unwrap();
        Channel::resolve(&"news".parse().unwrap(), &file, &Layer::default(), &look_up).map(|c| c.engine)
    };
    let Engine::Unified(plain) = engine("").unwrap() else { panic!("native") };
    let timeout = Duration::from_secs(300);
    let filter = Some("(type!=\"meta\")".to_owned());
    let program = "unified_capture".to_owned();
    assert_eq!(plain, Unified { program, timeout, licence: None, filter, verbosity: 3 });
    let Engine::Unified(own) = engine(
        "[unified]\nprogram = \"/opt/uc\"\ntimeout = \"PT10M\"\nlicence_file = \"/x\"\nfilter = \"\"\nverbosity = 0",
    )
    .unwrap() else {
        panic!("native")
    };
    assert_eq!((own.program.as_str(), own.timeout, own.verbosity), ("/opt/uc", 2 * timeout, 0));
    assert_eq!((own.licence, own.filter), (Some(Secret::new("File(\"/x\")")), None));
    for (text, said) in [
        ("[unified]\ntimeout = \"PT0S\"", "line 4: unified.timeout: PT0S is not from PT1S to P1D"),
        ("[unified]\nprogram = \"bin/uc\"", "line 4: unified.program: \"bin/uc\" is neither a name nor"),
        ("[unified]\nprogram = \"\"", "line 4: unified.program: the program has no name"),
        ("[unified]\nlicence_file = \"/x\"\nlicence_env = \"X\"", "line 5: both unified.licence_file and"),
        ("username = \"u\"", "line 3: username: engine = \"unified\" has no way to keep it to itself"),
        ("[headers]\nx-token = \"t\"", "line 4: headers.x-token: engine = \"unified\" has no way"),
    ] {
        let e = engine(text).unwrap_err();
        assert!(e.to_string().starts_with(&format!("news.toml, {said}")), "{text}: {e}");
    }
}

#[test]
fn an_engine_that_cannot_capture_the_channel_is_refused() {
    for (text, said) in [
        (
            "channel_url = \"https://example.com/a.mpd\"\nengine = \"unified\"",
            "captures publishing points only",
        ),
        (
            "channel_url = \"https://example.com/a.isml?token=hunter2\"\nengine = \"unified\"",
            "cannot be used with a query in channel_url that may hold a secret",
        ),
        ("channel_url = \"https://example.com/a.isml\"\nengine = \"ffmpeg\"", "\"ffmpeg\" is not an engine"),
    ] {
        let e = resolve(text, "").unwrap_err();
        assert!(e.to_string().starts_with("news.toml, line 2: engine: "), "{e}");
        assert!(e.to_string().contains(said) && e.remedy().is_some(), "{e}");
        assert!(!format!("{e:?}").contains("hunter2"));
    }
}

#[test]
fn what_an_unused_engine_would_do_is_not_in_force() {
    let shown = |text: &str| {
        let c = resolve(&format!("channel_url = \"https://example.com/a.isml\"\n{text}"), "").unwrap();
        c.effective().iter().filter(|s| s.key.starts_with("unified.")).count()
    };
    assert_eq!(shown(""), 0);
    assert_eq!(shown("engine = \"unified\""), 4);
    assert_eq!(shown("[unified]\nverbosity = 1"), 1, "somebody wrote it, and looks for it");
}

#[test]
fn secrets_are_in_no_message_and_no_debug_output() {
    let c = channel("username = \"u\"\npassword = \"hunter2\"\n[headers]\nauthorization = \"hunter2\"");
    let shown = format!("{c:?} {:?}", c.effective());
    assert!(!shown.contains("hunter2") && !shown.contains("s3cr3t"), "{shown}");
    for text in [
        "password = hunter2",
        "password = \"hunter2",
        "password = [\"hunter2\"]",
        "password = \"hunter2\" x",
        "password = \"hunter2\"\npassword = \"hunter2\"",
        "headers.a = \"hunter2é\"",
        "headers = \"hunter2\"",
    ] {
        let e = resolve(&format!("{URL}{text}"), "").unwrap_err();
        assert!(!format!("{e} {e:?}").contains("hunter2"), "{text}: {e:?}");
    }
}

#[test]
fn npvr_toml_is_as_strict_as_a_channel() {
    let settings =
        Settings::parse("[state]\ndir = \"/var/x\"\n[check]\nparallel = 8\n", "npvr.toml").unwrap();
    assert_eq!((settings.state_dir.as_deref(), settings.parallel), (Some(Path::new("/var/x")), 8));
    assert_eq!(Settings::parse("", "npvr.toml").unwrap().parallel, Settings::PARALLEL);
    for (text, bytes) in [("", 1_000_000_000), ("min_free = \"5GB\"", 5_000_000_000), ("min_free = \"0\"", 0)]
    {
        let settings = Settings::parse(&format!("[state]\n{text}"), "npvr.toml").unwrap();
        assert_eq!(settings.min_free_bytes, bytes, "{text}");
    }
    for (text, fraction) in [("", 0.2), ("0", 0.0), ("1", 1.0), ("0.05", 0.05), ("5e-2", 0.05)] {
        let text = if text.is_empty() { String::new() } else { format!("[prune]\nmax_fraction = {text}") };
        let settings = Settings::parse(&text, "npvr.toml").unwrap();
        assert!((settings.max_fraction - fraction).abs() < 1e-9, "{text}");
    }
    for (text, said) in [
        ("[defalts]", "line 1: unknown key \"defalts\""),
        ("defaults = 1", "line 1: defaults must be a table: [defaults]"),
        ("margin = \"PT1M\"", "line 1: margin belongs to a channel"),
        ("[defaults]\nchannel_url = \"http://x/\"", "line 2: channel_url cannot stand here"),
        ("[defaults]\nmargn = 1", "line 2: unknown key \"margn\""),
        ("[state]\ndir = \"x\"", "line 2: state.dir must be an absolute path"),
        ("[state]\npath = \"x\"", "line 2: unknown key \"state.path\""),
        ("[state]\nmin_free = \"1\"", "line 2: state.min_free: \"1\" is not a size: it has no unit"),
        ("[state]\nmin_free = 0", "line 2: state.min_free must be a size, in quotes"),
        ("[check]\nparallel = 0", "line 2: check.parallel must be a whole number from 1 to 64"),
        ("[prune]\nmax_fraction = 1.1", "line 2: prune.max_fraction must be a number from 0 to 1, like 0.2"),
        ("[prune]\nmax_fraction = nan", "line 2: prune.max_fraction must be a number from 0 to 1"),
        ("[prune]\nmax_fraction = \"20%\"", "line 2: prune.max_fraction must be a number from 0 to 1"),
        ("[prune]\nfraction = 0.1", "line 2: unknown key \"prune.fraction\""),
        ("prune = 0.1", "line 1: prune must be a table: [prune]"),
        ("[check]\nparalel = 1", "line 2: unknown key \"check.paralel\""),
        ("[", "line 1: this is not TOML"),
    ] {
        let e = match Settings::parse(text, "npvr.toml") {
            Ok(_) => panic!("{text} is fine"),
            Err(e) => e,
        };
        assert!(e.to_string().starts_with(&format!("npvr.toml, {said}")), "{text:?}: {e}");
    }
    // A bad default is found by the channel that it is for, and its line is the one in npvr.toml.
    let e = resolve(URL, "[defaults]\nmargin = \"x\"").unwrap_err();
    assert!(e.to_string().starts_with("npvr.toml, line 2: margin: "), "{e}");
}

#[test]
fn every_key_has_a_note_an_example_and_a_default_that_can_be_read() {
    for key in KEYS {
        assert!(key.note.ends_with('.'), "{}", key.name);
        let line = match key.form {
            Form::SecretTable => format!("[{}]\n{}", key.name, key.example),
            _ => format!("{} = {}", key.name, key.example),
        };
        if let Err(e) = Layer::parse(&line, "x") {
            panic!("{line}: {e}");
        }
    }
    Layer::defaults().unwrap();
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", value in "[\"\\[\\]{}=,.0-9a-zé\n -]{0,40}", which in 0..KEYS.len()) {
        let _ = resolve(&text, &text);
        let _ = resolve(&format!("{URL}{} = {value}", KEYS[which].name), "");
    }
}

#[test]
fn how_a_channel_is_played_back_is_read_and_its_options_are_shown_to_nobody() {
    let c = channel("");
    assert_eq!((c.public_url.is_none(), c.smil_dialect), (true, Dialect::Classic));
    assert_eq!((c.ism.program.as_str(), c.ism.timeout), ("mp4split", Duration::from_secs(30)));
    assert!(c.ism.options.is_empty() && c.ism.remix_url.is_none() && !c.ism.s3_keys);
    let c = channel(
        "public_url = \"https://cdn.example.com/npvr/\"\nsmil_dialect = \"continuous\"\n[ism]\nprogram = \"/opt/mp4split\"\n\
         options = [\"--iss.key=hunter2:hunter2\"]\ntimeout = \"PT5S\"\nremix_url = \"http://remix\"\ns3_keys = true\n",
    );
    assert_eq!(c.public_url.as_ref().map(Url::as_str), Some("https://cdn.example.com/npvr/"));
    assert_eq!((c.smil_dialect, c.ism.timeout), (Dialect::Continuous, Duration::from_secs(5)));
    assert_eq!(c.ism.options, [Secret::new("--iss.key=hunter2:hunter2")]);
    assert!(c.ism.s3_keys && c.ism.remix_url.is_some());
    let shown = format!("{c:?} {:?}", c.ism);
    assert!(shown.contains("ism.options") && !shown.contains("hunter2"), "{shown}");
    for (text, said) in [
        ("public_url = \"https://a/?hunter2\"", "line 2: public_url: paths are put behind it"),
        ("public_url = \"https://joe:hunter2@a/\"", "line 2: public_url: a user or password"),
        ("smil_dialect = \"clasic\"", "line 2: smil_dialect: \"clasic\" is not a dialect of playlists"),
        ("[ism]\noptions = [\"hunter2\"]", "line 3: ism.options: an option begins with --"),
        ("[ism]\ntimeout = \"PT5M\"", "line 3: ism.timeout: PT5M is not from PT1S to PT1M50S"),
        ("[ism]\nprogram = \"bin/mp4split\"", "line 3: ism.program: \"bin/mp4split\" is neither a name nor"),
    ] {
        let (what, _) = error(text);
        assert!(what.contains(said) && !what.contains("hunter2"), "{text}: {what}");
    }
}
