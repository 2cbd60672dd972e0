//! A configuration folder, right and wrong.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const URL: &str = "https://example.com/live/news.isml";

fn folder() -> (TempDir, Channels) {
    let dir = tempfile::tempdir().unwrap();
    let variables = |name: &str| (name == "NEWS_PASSWORD").then(|| "hunter2".into());
    let env = Env::of_parts(variables, dir.path(), false, "/nowhere");
    let channels = Channels::new(dir.path().join("etc"), env);
    (dir, channels)
}

fn write(channels: &Channels, file: &str, text: &str) {
    let path = channels.folder().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn text(channels: &Channels, of: &str) -> String {
    std::fs::read_to_string(channels.file(&name(of))).unwrap()
}

#[test]
fn a_new_channel_is_written_with_comments_and_can_be_loaded() {
    let (_dir, channels) = folder();
    let values = [
        ("channel_url", URL),
        ("chunk_duration", "PT10S"),
        ("disk.path", "/srv/x"),
        ("tracks", "video, audio=eng"),
    ];
    let added = channels.add(&name("news"), &values).unwrap();
    let loaded = channels.load(&name("news")).unwrap();
    assert_eq!(added.effective(), loaded.effective());
    assert_eq!(loaded.url.as_str(), URL);
    assert_eq!(loaded.disk_path.as_deref(), Some(Path::new("/srv/x")));
    assert_eq!(loaded.tracks.len(), 2);
    let text = text(&channels, "news");
    assert!(text.contains("\n# How long a chunk is kept.\n# archive_length = \"P7D\"\n"), "{text}");
    assert!(text.contains("\n[disk]\npath = \"/srv/x\"\n"), "{text}");
    assert_eq!(std::fs::metadata(channels.file(&name("news"))).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn the_commented_lines_of_a_new_file_work_when_their_hash_is_taken_away() {
    let (_dir, channels) = folder();
    channels.add(&name("news"), &[("channel_url", URL)]).unwrap();
    let text = text(&channels, "news");
    let is_code = |line: &str| line.contains(" = ") || line.starts_with('[');
    // Of several ways to a password, and of the two kinds of store, only one can hold.
    let passwords = |line: &&str| !line.contains("password") && !line.contains("username");
    let is_disk = |line: &&str| line.starts_with("# [disk]") || line.starts_with("# path = ");
    let ways = ["_key = ", "_env = ", "token = ", "profile = ", "_file = "];
    let lines = text
        .lines()
        .filter(passwords)
        .filter(|line| !is_disk(line) && !ways.iter().any(|way| line.contains(way)))
        .map(|line| line.strip_prefix("# ").filter(|l| is_code(l)).unwrap_or(line));
    let open: Vec<&str> = lines.collect();
    write(&channels, "channels.d/open.toml", &open.join("\n"));
    let channel = channels.load(&name("open")).unwrap();
    assert_eq!(channel.headers.len(), 1);
    assert!(channel.s3.is_some() && channel.settle.is_some());
}

#[test]
fn a_bucket_is_written_under_one_line_of_its_table() {
    let (_dir, channels) = folder();
    let values =
        [("channel_url", URL), ("s3.secure", "false"), ("s3.bucket", "npvr"), ("s3.secret_key_env", "X")];
    let text = edit::new_file(&name("news"), &values).unwrap();
    assert_eq!(text.matches("\n[s3]\n").count(), 1, "{text}");
    assert!(text.contains("\n[s3]\n# endpoint = ") && text.contains("\nbucket = \"npvr\"\n"), "{text}");
    assert!(text.contains("\nsecure = false\n") && text.contains("\n# [disk]\n# path = "), "{text}");
    let channel = channels.add(&name("news"), &values[..3]).unwrap();
    assert_eq!(channel.s3.unwrap().bucket, "npvr");
}

#[test]
fn a_channel_is_added_once_and_a_bad_one_not_at_all() {
    let (_dir, channels) = folder();
    for values in [
        &[][..],
        &[("channel_url", "x")],
        &[("channel_url", URL), ("margn", "1")],
        &[("channel_url", URL), ("margin", "1")],
    ] {
        assert!(channels.add(&name("news"), values).is_err(), "{values:?}");
        assert!(!channels.file(&name("news")).exists(), "{values:?}");
    }
    channels.add(&name("news"), &[("channel_url", URL)]).unwrap();
    let before = text(&channels, "news");
    let e = channels.add(&name("news"), &[("channel_url", "https://example.com/other.isml")]).unwrap_err();
    assert_eq!(e.kind(), Kind::Usage);
    assert!(e.to_string().contains("there is a channel news already"), "{e}");
    assert_eq!(text(&channels, "news"), before);
    let files: Vec<_> = std::fs::read_dir(channels.folder().join("channels.d")).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let (_dir, channels) = folder();
    let good = format!("channel_url = \"{URL}\"\n");
    write(&channels, "channels.d/a.toml", &good);
    write(&channels, "channels.d/b.toml", "channel_url = \n");
    write(&channels, "channels.d/c.toml", "");
    write(&channels, "channels.d/d.toml", &format!("{good}username = \"u\"\npassword_env = \"NOT_SET\"\n"));
    write(&channels, "channels.d/my news.toml", &good);
    write(&channels, "channels.d/z.toml", &good);
    std::fs::write(channels.folder().join("channels.d/y.toml"), [0xff, 0xfe]).unwrap();
    for left_over in
        [".a.toml.swp", "a.toml~", ".#a.toml", "#a.toml#", ".npvr-x.toml", "README", "a.toml.bak"]
    {
        write(&channels, &format!("channels.d/{left_over}"), "nonsense");
    }
    let all = channels.load_all().unwrap();
    let shown: Vec<String> = all
        .iter()
        .map(|c| match c {
            Ok(c) => c.name.to_string(),
            Err(e) => e.to_string().replace(&format!("{}/channels.d/", channels.folder().display()), ""),
        })
        .collect();
    assert_eq!(shown[0], "a");
    assert!(shown[1].starts_with("channel b: b.toml, line 1: this is not TOML: "), "{}", shown[1]);
    assert_eq!(shown[2], "channel c: c.toml: channel_url is missing");
    assert_eq!(shown[3], "channel d: d.toml, line 3: password_env: $NOT_SET is not set");
    assert_eq!(shown[4], "my news.toml: \"my news\" cannot be the name of a channel");
    assert_eq!(shown[5], "channel y: y.toml: this is not UTF-8");
    assert_eq!(shown[6..], ["z"]);
}

#[test]
fn defaults_of_npvr_toml_hold_for_channels_and_a_bad_npvr_toml_for_none() {
    let (_dir, channels) = folder();
    write(&channels, "channels.d/a.toml", &format!("channel_url = \"{URL}\"\n"));
    write(&channels, "npvr.toml", "[defaults]\nenabled = false\n");
    assert!(!channels.load(&name("a")).unwrap().enabled);
    write(&channels, "npvr.toml", "[default]\nenabled = false\n");
    let e = channels.load_all().unwrap_err();
    assert!(e.to_string().ends_with("npvr.toml, line 1: unknown key \"default\""), "{e}");
    assert_eq!(e.remedy(), Some("did you mean defaults?"));
}

#[test]
fn an_unknown_channel_names_the_nearest() {
    let (_dir, channels) = folder();
    channels.add(&name("scte35"), &[("channel_url", URL)]).unwrap();
    let unknown = name("scte53");
    for e in [
        channels.load(&unknown).unwrap_err(),
        channels.remove(&unknown).unwrap_err(),
        channels.set_enabled(&unknown, true).unwrap_err(),
        channels.set(&unknown, "margin", "PT1M").unwrap_err(),
    ] {
        assert_eq!((e.kind(), e.remedy()), (Kind::NotFound, Some("did you mean scte35?")), "{e}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_an_error_and_an_empty_one_is_not() {
    let (_dir, channels) = folder();
    assert_eq!(channels.load_all().unwrap_err().kind(), Kind::Config);
    std::fs::create_dir(channels.folder()).unwrap();
    assert!(channels.load_all().unwrap().is_empty());
}

#[test]
fn an_edit_keeps_comments_layout_and_permissions() {
    let (_dir, channels) = folder();
    let before = format!(
        "# mine\nchannel_url  =  \"{URL}\"   # the origin\n\nmargin = \"PT1M\" # short\n\n[headers]\nx = \"1\"\n"
    );
    write(&channels, "channels.d/a.toml", &before);
    let path = channels.file(&name("a"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    channels.set(&name("a"), "margin", "PT3M").unwrap();
    assert_eq!(text(&channels, "a"), before.replace("PT1M", "PT3M"));
    channels.set(&name("a"), "disk.path", "/srv/a").unwrap();
    channels.set(&name("a"), "max_connections", "7").unwrap();
    channels.set(&name("a"), "headers.x", "2").unwrap();
    assert!(channels.set_enabled(&name("a"), false).unwrap());
    assert!(!channels.set_enabled(&name("a"), false).unwrap());
    let channel = channels.load(&name("a")).unwrap();
    assert!(!channel.enabled);
    assert_eq!((channel.max_connections, channel.disk_path.as_deref()), (7, Some(Path::new("/srv/a"))));
    assert_eq!(channel.headers[0].1.expose(), "2");
    assert!(text(&channels, "a").starts_with("# mine\nchannel_url  =  "));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(channels.set_enabled(&name("a"), true).unwrap());
    let now = text(&channels, "a");
    for (key, value) in [
        ("margin", "x"),
        ("margn", "PT1M"),
        ("max_connections", "many"),
        ("headers", "x"),
        ("channel_url.x", "1"),
    ] {
        assert!(channels.set(&name("a"), key, value).is_err(), "{key}");
    }
    assert_eq!(text(&channels, "a"), now);
}

#[test]
fn a_channel_with_a_fault_can_still_be_switched_off_and_removed() {
    let (_dir, channels) = folder();
    write(&channels, "channels.d/a.toml", "channel_url = \"nonsense\"\n");
    assert!(channels.set_enabled(&name("a"), false).unwrap());
    channels.remove(&name("a")).unwrap();
    assert!(!channels.file(&name("a")).exists());
}

#[test]
fn a_link_to_a_file_elsewhere_stays_a_link() {
    let (dir, channels) = folder();
    let real = dir.path().join("real.toml");
    std::fs::write(&real, format!("channel_url = \"{URL}\"\n")).unwrap();
    std::fs::create_dir_all(channels.folder().join("channels.d")).unwrap();
    std::os::unix::fs::symlink(&real, channels.file(&name("a"))).unwrap();
    channels.set_enabled(&name("a"), false).unwrap();
    assert!(channels.file(&name("a")).is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("enabled = false"));
}

#[test]
fn passwords_are_looked_up_where_they_are_kept_and_shown_nowhere() {
    let (dir, channels) = folder();
    let file = dir.path().join("password");
    let base = format!("channel_url = \"{URL}\"\nusername = \"u\"\n");
    let from_file = format!("{base}password_file = {:?}\n", file.display().to_string());
    write(&channels, "channels.d/file.toml", &from_file);
    write(&channels, "channels.d/env.toml", &format!("{base}password_env = \"NEWS_PASSWORD\"\n"));
    assert_eq!(channels.load(&name("env")).unwrap().password, Some(Secret::new("hunter2")));
    for (content, password) in [("hunter2\n", "hunter2"), ("hunter2", "hunter2"), (" a b \r\n", " a b ")] {
        std::fs::write(&file, content).unwrap();
        let channel = channels.load(&name("file")).unwrap();
        assert_eq!(channel.password, Some(Secret::new(password)));
        assert!(!format!("{channel:?}").contains("hunter2"));
    }
    for content in ["", "\n", "hunter2\nhunter3\n"] {
        std::fs::write(&file, content).unwrap();
        let e = channels.load(&name("file")).unwrap_err();
        assert!(
            e.to_string().contains("line 3: password_file: ") && !e.to_string().contains("hunter"),
            "{e}"
        );
    }
    std::fs::remove_file(&file).unwrap();
    let e = channels.load(&name("file")).unwrap_err();
    assert_eq!(e.kind(), Kind::Config, "a missing password is not a missing channel: {e}");
}

#[test]
fn a_huge_file_is_not_read_to_its_end() {
    let (_dir, channels) = folder();
    write(&channels, "channels.d/a.toml", &"#".repeat((1 << 20) + 1));
    assert!(channels.load(&name("a")).unwrap_err().to_string().contains("longer than 1 MiB"));
}

#[test]
fn the_stamp_changes_with_every_change_of_a_file_and_with_nothing_else() {
    let (_dir, channels) = folder();
    let mut last = channels.stamp();
    let mut changed = |what: &str| {
        let now = channels.stamp();
        assert_eq!(now, channels.stamp());
        assert_ne!(std::mem::replace(&mut last, now.clone()), now, "{what}");
    };
    write(&channels, "channels.d/news.toml", "a = 1");
    changed("a new file");
    // Of another length: two writes may fall into one tick of the file system's clock.
    write(&channels, "channels.d/news.toml", "a = 22");
    changed("another text");
    write(&channels, "npvr.toml", "");
    changed("settings");
    std::fs::remove_file(channels.file(&name("news"))).unwrap();
    changed("a file that is gone");
}
