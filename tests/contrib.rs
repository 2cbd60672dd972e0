//! What is installed beside the program: crontab, systemd units, log rotation, alerts and the example of a channel.
//!
//! Nobody runs these files here, so nobody would notice that they had gone stale. systemd itself reads the units, logrotate
//! rotates a log, Prometheus tries the alerts on histories, the real program parses every command line, and the example has to
//! name every key that there is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use npvr::channel::{Channel, Form, KEYS, Layer};

/// Where the files of `contrib` expect the program.
const INSTALLED: &str = "/usr/local/bin/npvr";
/// What has a service and a timer of its own.
const TIMED: [&str; 3] = ["npvr-check", "npvr-prune", "npvr-verify"];
/// What has a service.
const SERVICES: [&str; 4] = ["npvr-check", "npvr-prune", "npvr-verify", "npvr-serve"];
/// Every file that systemd reads, the drop-in aside.
const UNITS: [&str; 8] = [
    "npvr-check.service",
    "npvr-check.timer",
    "npvr-prune.service",
    "npvr-prune.timer",
    "npvr-verify.service",
    "npvr-verify.timer",
    "npvr-serve.service",
    "npvr-serve.socket",
];
/// What a drop-in for the check is.
const TEXTFILE: &str = "npvr-check.service.d/textfile.conf";
/// The highest exposure level of the service, in tenths: 2.0 of 10.
const EXPOSURE: &str = "20";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output();
    output.unwrap_or_else(|e| panic!("{program}: {e}; tests/run installs what the tests need"))
}

/// Standard output and standard error.
fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// A job of the crontab; one that is offered as a comment counts too.
fn jobs() -> Vec<(Vec<String>, String, String)> {
    let crontab = read("contrib/crontab");
    assert!(crontab.ends_with('\n'), "cron ignores a last line without its end");
    let is_job = |line: &&str| line.split_whitespace().nth(5) == Some("npvr") && line.contains("* ");
    let lines = crontab.lines().map(|l| l.trim_start_matches("# ")).filter(is_job);
    let jobs = lines.map(|line| {
        assert!(!line.contains('%'), "cron takes % for the end of the line: {line}");
        let mut fields = line.split_whitespace().map(str::to_owned);
        let when = fields.by_ref().take(5).collect();
        let user = fields.next().unwrap();
        (when, user, fields.collect::<Vec<_>>().join(" "))
    });
    jobs.collect()
}

/// The values of `key` in a unit.
fn values(unit: &str, key: &str) -> Vec<String> {
    let text = read(unit);
    text.lines().filter_map(|l| l.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned).collect()
}

/// The units as they would be installed, but with the program that was built.
fn installed_units(dir: &Path, more: &str) -> Vec<String> {
    fs::create_dir(dir.join(TEXTFILE).parent().unwrap()).unwrap();
    let drop_in = read(&format!("contrib/systemd/{TEXTFILE}"));
    fs::write(dir.join(TEXTFILE), drop_in.replace(INSTALLED, env!("CARGO_BIN_EXE_npvr"))).unwrap();
    let units = UNITS.iter().map(|name| {
        let text = read(&format!("contrib/systemd/{name}")).replace(INSTALLED, env!("CARGO_BIN_EXE_npvr"));
        let at = dir.join(name);
        fs::write(&at, text.replace("[Service]", &format!("[Service]\n{more}"))).unwrap();
        at.to_str().unwrap().to_owned()
    });
    units.collect()
}

/// The path of a service in `contrib`.
fn service(unit: &str) -> String {
    format!("contrib/systemd/{unit}.service")
}

/// What systemd has to say against the units; it exits with 0 whatever it says.
fn verify(more: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let units = installed_units(dir.path(), more);
    let args = ["verify", "--man=no"].into_iter().chain(units.iter().map(String::as_str));
    said(&run("systemd-analyze", &args.collect::<Vec<_>>()))
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    assert_eq!(verify(""), "");
}

#[test]
fn systemd_speaks_up_where_a_unit_is_wrong() {
    assert!(verify("NoSuchKey=yes").contains("NoSuchKey"));
}

#[test]
fn the_services_are_confined() {
    let dir = tempfile::tempdir().unwrap();
    let check = |unit: &str, threshold: &str| {
        let threshold = format!("--threshold={threshold}");
        run("systemd-analyze", &["security", "--no-pager", "--offline=true", &threshold, unit])
    };
    for unit in installed_units(dir.path(), "").iter().filter(|unit| unit.ends_with(".service")) {
        let output = check(unit, EXPOSURE);
        assert!(output.status.success(), "{}", said(&output));
        assert!(!check(unit, "1").status.success(), "the threshold counts for nothing");
    }
}

#[test]
fn what_one_service_may_not_no_service_may() {
    let confinement = |unit: &&str| {
        let text = read(&service(unit));
        let lines = text.lines().skip_while(|l| !l.starts_with("User=")).filter(|l| !l.starts_with('#'));
        lines
            .take_while(|l| *l != "[Install]")
            .filter(|l| !l.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let all: Vec<_> = SERVICES.iter().map(confinement).collect();
    assert!(all[0].len() > 20 && all.iter().all(|of| *of == all[0]), "{all:#?}");
}

#[test]
fn every_command_line_is_one_that_the_program_knows() {
    let services = SERVICES.iter().flat_map(|unit| values(&service(unit), "ExecStart"));
    // An empty one takes away what the unit says.
    let drop_in = values(&format!("contrib/systemd/{TEXTFILE}"), "ExecStart");
    let services = services.chain(drop_in.into_iter().filter(|line| !line.is_empty()));
    let lines: Vec<String> = services.chain(jobs().into_iter().map(|(_, _, line)| line)).collect();
    assert!(lines.len() > SERVICES.len() * 2, "{lines:?}");
    for line in lines {
        let (_, args) = line.split_once(INSTALLED).unwrap_or_else(|| panic!("not a run of npvr: {line}"));
        // What stands before --help is parsed first: a flag that is not there is refused.
        let args: Vec<&str> = args.split_whitespace().chain(["--help"]).collect();
        let output = run(env!("CARGO_BIN_EXE_npvr"), &args);
        let usage = format!("Usage: npvr {}", args[0]);
        assert!(output.status.success() && said(&output).contains(&usage), "{line}\n{}", said(&output));
    }
    let unknown = run(env!("CARGO_BIN_EXE_npvr"), &["check", "--no-such-flag", "--help"]);
    assert_eq!(unknown.status.code(), Some(2), "an unknown flag went through");
}

#[test]
fn cron_and_systemd_run_as_the_same_user_on_the_same_folders() {
    let sysusers = read("contrib/systemd/npvr.sysusers");
    let user: Vec<&str> = sysusers.lines().find_map(|l| l.strip_prefix("u ")).unwrap().split(' ').collect();
    let (name, home) = (user[0], *user.last().unwrap());
    let of_check = service(TIMED[0]);
    assert_eq!(values(&of_check, "User"), [name]);
    assert_eq!(format!("/var/lib/{}", values(&of_check, "StateDirectory")[0]), home);

    let crontab = read("contrib/crontab");
    assert!(crontab.lines().any(|l| l == format!("NPVR_STATE={home}")));
    assert!(crontab.lines().any(|l| values(&of_check, "Environment").contains(&l.to_owned())));
    assert!(jobs().iter().all(|(_, user, _)| user == name));
}

#[test]
fn cron_and_systemd_run_each_command_as_often() {
    let often = |calendar: &str| match calendar {
        "*-*-* *:*:00" => "minute",
        "hourly" => "hour",
        "*-*-* 03:30:00" => "day",
        other => panic!("{other} is new here"),
    };
    let by_cron = |when: &[String]| match when.iter().filter(|field| *field == "*").count() {
        5 => "minute",
        4 => "hour",
        3 => "day",
        _ => panic!("{when:?} is new here"),
    };
    for unit in TIMED {
        let calendar = values(&format!("contrib/systemd/{unit}.timer"), "OnCalendar");
        let command = values(&service(unit), "ExecStart");
        let jobs = jobs();
        let job =
            jobs.iter().find(|(_, _, line)| *line == command[0]).unwrap_or_else(|| panic!("no {command:?}"));
        assert_eq!(by_cron(&job.0), often(&calendar[0]), "{unit}");
    }
}

#[test]
fn the_server_is_started_by_its_socket_where_the_program_would_listen_by_itself() {
    let at = values("contrib/systemd/npvr-serve.socket", "ListenStream");
    let help = said(&run(env!("CARGO_BIN_EXE_npvr"), &["serve-smil", "--help"]));
    assert!(help.contains(&at[0]), "{at:?}\n{help}");
    assert_eq!(values(&service("npvr-serve"), "Requires"), ["npvr-serve.socket"]);
    // The server takes more connections than systemd gives it descriptors by itself.
    let descriptors: usize = values(&service("npvr-serve"), "LimitNOFILE")[0].parse().unwrap();
    assert!(descriptors > npvr::http::Limits::default().connections * 3 / 2, "{descriptors}");
}

const ALERTS: &str = "contrib/prometheus/npvr-alerts.yml";

#[test]
fn prometheus_takes_the_alerts_and_they_come_when_they_should_and_not_before() {
    let output = run("promtool", &["check", "rules", path(ALERTS).to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    let histories = path("tests/prometheus/alerts.yml");
    let output = run("promtool", &["test", "rules", histories.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));

    // Every alert is in a history, and a rule that is wrong is noticed.
    let (alerts, tried) = (read(ALERTS), fs::read_to_string(&histories).unwrap());
    let names = alerts.lines().filter_map(|l| l.trim().strip_prefix("- alert: "));
    assert!(names.clone().count() > 10);
    for name in names {
        let this = format!("alertname: {name}\n");
        let expects = tried.split(&this).skip(1);
        let comes = expects.filter(|rest| rest.trim_start().starts_with("exp_alerts")).count();
        assert!(comes > 0, "no history has {name} come");
    }
    let dir = tempfile::tempdir().unwrap();
    let wrong = alerts.replace("timestamp_seconds - time() < 600", "timestamp_seconds - time() < 60");
    assert_ne!(wrong, alerts);
    fs::write(dir.path().join("alerts.yml"), wrong).unwrap();
    fs::write(dir.path().join("tests.yml"), tried.replace(&format!("../../{ALERTS}"), "alerts.yml")).unwrap();
    let output = run("promtool", &["test", "rules", dir.path().join("tests.yml").to_str().unwrap()]);
    assert!(!output.status.success() && said(&output).contains("NpvrLossSoon"), "{}", said(&output));
}

#[test]
fn a_log_is_rotated_and_can_be_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("npvr.log");
    fs::write(&log, "npvr: something\n").unwrap();
    let rules = read("contrib/logrotate");
    assert!(
        read("contrib/crontab").contains(">> /var/log/npvr/npvr.log 2>&1")
            && rules.contains("su npvr npvr\n")
    );
    // The user of the test's own, in a folder of its own.
    let rules = rules.replace("/var/log/npvr", dir.path().to_str().unwrap()).replace("su npvr npvr\n", "");
    let (file, state) = (dir.path().join("rules"), dir.path().join("state"));
    fs::write(&file, rules).unwrap();
    let args = ["--force", "--state", state.to_str().unwrap(), file.to_str().unwrap()];
    let output = run("/usr/sbin/logrotate", &args);
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    assert_eq!(fs::read_to_string(&log).unwrap(), "", "the same file, for those that have it open");
    assert!(dir.path().join("npvr.log.1.gz").exists());
}

#[test]
fn systemd_makes_the_user_of_the_units() {
    let empty = tempfile::tempdir().unwrap();
    let root = format!("--root={}", empty.path().display());
    let file = path("contrib/systemd/npvr.sysusers");
    let output = run("systemd-sysusers", &["--dry-run", &root, file.to_str().unwrap()]);
    assert!(output.status.success() && said(&output).contains("Creating user 'npvr'"), "{}", said(&output));
}

/// A key as it stands in a file: the line of its table, if it has one, and the start of its own line.
fn lines_of(key: &str, form: Form) -> (Option<String>, String) {
    match key.split_once('.') {
        Some((table, inner)) => (Some(format!("[{table}]")), format!("{inner} =")),
        None if form == Form::SecretTable => (None, format!("[{key}]")),
        None => (None, format!("{key} =")),
    }
}

#[test]
fn the_example_of_a_channel_names_every_key_and_says_what_it_means() {
    let example = read("channels.d/example.toml");
    let lines: Vec<&str> = example.lines().collect();
    let table_of = |name: &'static str| name.split_once('.').map(|(table, _)| table);
    let mut at = 0;
    for (n, key) in KEYS.iter().enumerate() {
        // After that of the key before: some keys of one kind have the same note.
        let note = format!("# {}", key.note);
        let further = lines[at..].iter().position(|l| *l == note);
        at += further.unwrap_or_else(|| panic!("no line says: {note}")) + 1;
        let after: Vec<&str> = lines[at..].iter().map(|l| l.trim_start_matches("# ")).collect();
        let (table, start) = lines_of(key.name, key.form);
        // The line of a table stands above the first of its keys.
        let table = table.filter(|_| n == 0 || table_of(KEYS[n - 1].name) != table_of(key.name));
        let own = usize::from(table.is_some());
        assert!(
            table.is_none_or(|t| after[0] == t) && after[own].starts_with(&start),
            "{}: {after:?}",
            key.name
        );
        if let Some(default) = key.default.filter(|_| key.name != "enabled") {
            assert_eq!(after[own], format!("{start} {default}"));
        }
    }
}

#[test]
fn the_example_of_a_channel_is_valid_and_disabled_and_stays_so_with_every_key_set() {
    let resolve = |text: &str| {
        let layer = Layer::parse(text, "example.toml").unwrap_or_else(|e| panic!("{e}"));
        let secret = |_: &_| Ok(npvr::secret::Secret::new("x"));
        let channel = Channel::resolve(&"example".parse().unwrap(), &layer, &Layer::default(), &secret);
        channel.unwrap_or_else(|e| panic!("{e}"))
    };
    let example = read("channels.d/example.toml");
    assert!(!resolve(&example).enabled);

    // Of the three ways to a password only one can hold; of the two kinds of store, too.
    let is_key = |line: &str| line.starts_with('[') || line.contains(" = ");
    let other = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        key.ends_with("_env")
            || ["password", "access_key", "secret_key", "session_token", "profile"].contains(&key)
    };
    let (disk, s3) = (example.find("# [disk]").unwrap(), example.find("# [s3]").unwrap());
    let open = |text: &str| {
        let lines = text.lines().filter_map(|l| {
            let line = l.strip_prefix("# ").filter(|l| is_key(l)).unwrap_or(l);
            (!other(line)).then(|| format!("{line}\n"))
        });
        resolve(&lines.collect::<String>())
    };
    let all = open(&example[..s3]);
    assert!(!all.enabled && all.settle.is_some() && all.password.is_some() && all.disk_path.is_some());
    assert_eq!(all.headers.len(), 1);
    let all = open(&format!("{}{}", &example[..disk], &example[s3..]));
    assert!(!all.enabled && all.s3.is_some());
}
