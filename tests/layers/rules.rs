//! The rules themselves, each a function from facts to faults, and for each a piece of code that breaks it.

use super::map::Map;
use super::reader::{self, Facts, Named};

/// The most lines of a file, tests not counted, and of a function.
const LONG_FILE: usize = 400;
const LONG_FUNCTION: usize = 50;
/// What lets a longer one pass: a comment that says why it is so.
const EXCUSE: &str = "// Long because ";

/// What lines 0 to 3 have no use for: input and output, the environment, other tasks.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "async",
    "async_trait",
    "backon",
    "futures_util",
    "log",
    "rustix",
    "tempfile",
    "tokio",
    "tracing",
];
/// Turning the machine's errors into ours is what `error` is for.
const IMPURE_BUT_FINE: &[(&str, &str)] =
    &[("src/error.rs", "std::io::Error"), ("src/error.rs", "std::io::ErrorKind")];

/// What is seen in its place only, so that it can be replaced there.
const PLACES: &[(&[&str], &[&str])] = &[
    (&["askama"], &["src/http/pages/"]),
    (&["axum"], &["src/http/server.rs"]),
    (&["hyper", "hyper_util", "http_body_util"], &["src/http/server.rs", "src/sim/server.rs"]),
    (&["matchit"], &["src/http/routes.rs"]),
    (&["listenfd", "sd_notify"], &["src/http/systemd.rs"]),
    (&["subtle"], &["src/http/tokens.rs"]),
    (&["hmac"], &["src/http/signature.rs"]),
    (&["reqwest"], &["src/source/http.rs", "src/source/http/", "src/source/http_", "src/source/fault.rs"]),
    (&["rustls", "rustls_platform_verifier"], &["src/source/tls.rs"]),
    (&["s3", "reqwest_of_s3"], &["src/store/s3/", "src/store/mod.rs"]),
    (&["rusqlite"], &["src/ledger/sqlite/"]),
    // Schemas stand beside the values that they describe; the document is put together in one place.
    (&["utoipa::openapi", "utoipa::OpenApi", "utoipa::Modify"], &["src/http/openapi.rs"]),
    (&["anstream", "anstyle", "clap", "clap_complete", "clap_mangen", "indicatif"], &["src/cli/"]),
    (&["print!", "println!", "eprint!", "eprintln!", "std::io::stdout", "std::io::stderr"], &["src/cli/"]),
    (&["std::time::SystemTime", "std::time::Instant", "tokio::time::Instant"], &["src/clock.rs"]),
];

/// A file under `src/`.
pub(crate) struct File {
    name: String,
    text: String,
    facts: Facts,
}

impl File {
    /// `name` is its path from the root of the project: `src/grid.rs`.
    pub(crate) fn new(name: &str, text: &str) -> Result<Self, String> {
        let facts = reader::read(text, &module_path(name)).map_err(|e| format!("{name}: {e}"))?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), facts })
    }

    /// The top module that it belongs to; the crate's root has none.
    fn module(&self) -> Option<String> {
        module_path(&self.name).into_iter().next()
    }

    /// What it names outside tests.
    fn named(&self, is_test: bool) -> impl Iterator<Item = &Named> {
        self.facts.named.iter().filter(move |n| !n.in_test && !is_test)
    }

    fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}, line {line}: {what}", self.name)
    }
}

fn module_path(name: &str) -> Vec<String> {
    let stem = name.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = stem.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main"));
    parts.map(str::to_owned).collect()
}

/// Everything that is wrong with `files`, a line each.
pub(crate) fn faults(map: &Map, files: &[File]) -> Vec<String> {
    let tests: Vec<Vec<String>> = files.iter().flat_map(test_modules).collect();
    let is_test = |file: &File| tests.iter().any(|test| module_path(&file.name).starts_with(test));
    let of = |file: &File| {
        let is_test = is_test(file);
        let mut found = off_the_line(map, file);
        found.extend(impure(map, file, is_test));
        found.extend(out_of_place(file, is_test));
        if !is_test {
            found.extend(too_long(file));
        }
        found
    };
    let mut found: Vec<String> = files.iter().flat_map(of).collect();
    found.dedup();
    found
}

/// The modules that `file` declares as tests, in files of their own.
fn test_modules(file: &File) -> Vec<Vec<String>> {
    let inside = |name: &String| [module_path(&file.name), vec![name.clone()]].concat();
    file.facts.test_files.iter().map(inside).collect()
}

/// A module uses modules on lower lines only. Tests too: what they need from above belongs into `tests/`.
fn off_the_line(map: &Map, file: &File) -> Vec<String> {
    let own = file.module();
    let of = |named: &Named| {
        let other = match named.path.first()?.as_str() {
            "crate" | "npvr" => named.path.get(1)?,
            _ => return None,
        };
        let Some(own) = &own else {
            // The root only says which modules there are; the program only calls `cli`.
            let fine = file.name == "src/main.rs" && other == "cli";
            return (!fine).then(|| file.at(named.line, format!("the root uses {other}")));
        };
        let Some((from, from_label)) = map.line_of(own) else {
            return Some(file.at(named.line, format!("{own} is not in the map of src/lib.rs")));
        };
        let Some((to, to_label)) = map.line_of(other) else {
            return Some(file.at(named.line, format!("crate::{other} is not in the map of src/lib.rs")));
        };
        let wrong = own != other && to >= from;
        wrong.then(|| {
            file.at(
                named.line,
                format!("{own} (line {from_label}) uses {other} (line {to_label} of the map)"),
            )
        })
    };
    file.facts.named.iter().filter_map(of).collect()
}

fn impure(map: &Map, file: &File, is_test: bool) -> Vec<String> {
    let Some(module) = file.module().filter(|m| map.is_pure(m)) else { return Vec::new() };
    let fine = |n: &Named| IMPURE_BUT_FINE.iter().any(|(name, path)| *name == file.name && is_under(n, path));
    let wrong = file.named(is_test).filter(|n| IMPURE.iter().any(|path| is_under(n, path)) && !fine(n));
    wrong.map(|n| file.at(n.line, format!("{module} is pure, and names {}", n.path.join("::")))).collect()
}

fn out_of_place(file: &File, is_test: bool) -> Vec<String> {
    let of = |named: &Named| {
        let (_, places) = PLACES.iter().find(|(what, _)| what.iter().any(|path| is_under(named, path)))?;
        let wrong = !places.iter().any(|place| file.name.starts_with(place));
        let what = named.path.join("::");
        wrong.then(|| file.at(named.line, format!("{what} belongs into {} only", places.join(", "))))
    };
    file.named(is_test).filter_map(of).collect()
}

fn is_under(named: &Named, path: &str) -> bool {
    let mut segments = named.path.iter();
    path.split("::").all(|part| segments.next().is_some_and(|s| s == part))
}

fn too_long(file: &File) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    let length = lines.len().saturating_sub(file.facts.test_lines);
    if length > LONG_FILE && !lines.iter().any(|l| l.starts_with(EXCUSE)) {
        found.push(format!("{}: {length} lines, and no {EXCUSE:?} at the start of a line", file.name));
    }
    for function in file.facts.functions.iter().filter(|f| !f.in_test) {
        let (first, last) = (*function.lines.start(), *function.lines.end());
        // The excuse stands in the body, or among the comments and attributes right above.
        let above = lines[..first - 1].iter().rev().take_while(|l| is_above(l)).count();
        let length = last - first + 1;
        let excused = lines[first - 1 - above..last].iter().any(|l| l.trim_start().starts_with(EXCUSE));
        if length > LONG_FUNCTION && !excused {
            let what = format!("fn {}: {length} lines, and no {EXCUSE:?}", function.name);
            found.push(file.at(first, what));
        }
    }
    found
}

fn is_above(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with("#[")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "//! | 0 | [`error`] | x |\n//! | 2 | [`grid`], `clip` | x |\n//! | 4 | [`clock`] | x |\n\
                       //! | 6b | [`check`] | x |\n";

    /// The faults of one file, without their places.
    fn of(name: &str, text: &str) -> Vec<String> {
        let found = faults(&Map::read(MAP), &[File::new(name, text).unwrap()]);
        found.into_iter().map(|f| f.split_once(": ").map(|(_, what)| what.to_owned()).unwrap_or(f)).collect()
    }

    #[test]
    fn a_module_that_looks_up_or_sideways_is_found_however_it_does_so() {
        let up = ["grid (line 2) uses check (line 6b of the map)"];
        for text in [
            "use crate::check;",
            "use crate::{error::Error, check::{self, Plan}};",
            "use super::check::*;",
            "fn f() -> crate::check::Plan { x }",
            "fn f() { g::<crate::check::Plan>() }",
            "fn f() { format!(\"{}\", crate::check::plan()) }",
            "mod a { mod b { use super::super::super::check; } }",
            "#[cfg(test)] mod tests { use crate::check::Plan; }",
        ] {
            assert_eq!(of("src/grid.rs", text), up, "{text}");
        }
        assert_eq!(of("src/grid/cell.rs", "use super::super::check;"), up);
        assert_eq!(
            of("src/grid.rs", "use crate::clip::Clip;"),
            ["grid (line 2) uses clip (line 2 of the map)"]
        );
        assert_eq!(
            of("src/grid.rs", "use crate::nosuch;"),
            ["crate::nosuch is not in the map of src/lib.rs"]
        );
        assert_eq!(of("src/nosuch.rs", "use crate::grid;"), ["nosuch is not in the map of src/lib.rs"]);
        assert_eq!(of("src/main.rs", "fn main() { npvr::check::run() }"), ["the root uses check"]);
    }

    #[test]
    fn what_looks_down_or_only_speaks_of_a_module_is_fine() {
        for text in [
            "use crate::error::Error; use crate::grid::cell; use self::cell::Cell;",
            "/// See [`crate::check`].\nfn f() -> &'static str { \"crate::check\" /* crate::check */ }",
            "mod cell { use super::Grid; use super::super::error::Error; }",
            "mod check; use check::Plan;",
        ] {
            assert_eq!(of("src/grid.rs", text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_pure_module_that_reads_writes_or_waits_is_found() {
        for (text, what) in [
            ("use std::{fmt, fs::File};", "std::fs::File"),
            ("fn f() { std::env::var(\"HOME\") }", "std::env::var"),
            ("use std::io::Read;", "std::io::Read"),
            ("use tokio as t;", "tokio"),
            ("async fn f() {}", "async"),
        ] {
            assert_eq!(of("src/grid.rs", text), [format!("grid is pure, and names {what}")], "{text}");
        }
        assert_eq!(of("src/error.rs", "use std::io::Error;"), [""; 0]);
        assert_eq!(of("src/check.rs", "use std::fs; async fn f() {}"), [""; 0]);
        assert_eq!(of("src/grid.rs", "#[cfg(test)] mod tests { use std::fs; }"), [""; 0]);
    }

    #[test]
    fn a_library_out_of_its_place_is_found() {
        for text in [
            "use rusqlite::Connection;",
            "fn f(r: &reqwest::Response) {}",
            "use hyper_util::rt;",
            "fn f() { println!(\"x\") }",
            "use std::time::{Duration, Instant};",
        ] {
            let found = of("src/check.rs", text);
            assert!(matches!(&found[..], [one] if one.contains("belongs into")), "{text}: {found:?}");
        }
        assert_eq!(of("src/clock.rs", "use std::time::Instant;"), [""; 0]);
    }

    #[test]
    fn long_files_and_functions_are_found_unless_they_say_why() {
        let lines = |n: usize| "    f();\n".repeat(n);
        let function = |body: &str| format!("/// Does.\nfn long() {{\n{body}}}\n");
        assert_eq!(of("src/grid.rs", &function(&lines(48))), [""; 0]);
        let found = of("src/grid.rs", &function(&lines(49)));
        assert_eq!(found, ["fn long: 51 lines, and no \"// Long because \""]);
        assert_eq!(of("src/grid.rs", &function(&format!("// Long because x\n{}", lines(49)))), [""; 0]);
        assert_eq!(of("src/grid.rs", &format!("// Long because x\n{}", function(&lines(49)))), [""; 0]);

        let short = "fn f() {\n}\n";
        assert_eq!(of("src/grid.rs", &short.repeat(201)).len(), 1);
        assert_eq!(of("src/grid.rs", &format!("// Long because x\n{}", short.repeat(201))), [""; 0]);
        let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", short.repeat(199), short.repeat(9));
        assert_eq!(of("src/grid.rs", &tests), [""; 0]);
    }

    #[test]
    fn files_that_are_tests_may_be_long_and_may_read_fixtures() {
        let files = [
            File::new("src/grid/mod.rs", "#[cfg(test)]\nmod tests;").unwrap(),
            File::new("src/grid/tests.rs", &"use std::fs;\n".repeat(401)).unwrap(),
        ];
        assert_eq!(faults(&Map::read(MAP), &files), [""; 0]);
    }
}
