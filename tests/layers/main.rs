//! The rules that hold the code together, as a test: a module uses only modules on lower lines of the map in
//! `src/lib.rs`, lines 0 to 3 are pure, each outside library is seen in its place only, and files and functions stay short.
//!
//! A rule that nothing checks is soon broken. Each rule here is shown to fail, on a few lines of wrong code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod map;
mod reader;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use map::Map;
use rules::{File, faults};

/// Every Rust file under `dir`, in order.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .map(|e| e.unwrap().path())
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect();
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn lib() -> String {
    fs::read_to_string(root().join("src/lib.rs")).unwrap()
}

/// The files under `src/`, named as `src/grid.rs`.
fn sources() -> Vec<File> {
    let files = rust_files(&root().join("src"));
    assert!(files.len() > 30, "only {} files were found: the test looks in the wrong place", files.len());
    files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            File::new(name, &fs::read_to_string(path).unwrap()).unwrap_or_else(|e| panic!("{e}"))
        })
        .collect()
}

#[test]
fn the_code_keeps_to_the_map_and_to_its_rules() {
    let found = faults(&Map::read(&lib()), &sources());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_map_names_every_module_once_and_links_those_that_are_there() {
    let lib = lib();
    let map = Map::read(&lib);
    let there: Vec<&str> =
        lib.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(there.len() > 10, "{there:?}");
    for module in &there {
        let count = map.modules().filter(|m| m == module).count();
        assert_eq!(count, 1, "{module} is {count} times in the map of src/lib.rs");
        let link = format!("[`{module}`]");
        assert!(lib.contains(&link), "{module} is there now: write it as {link} in the map of src/lib.rs");
    }
}

#[test]
fn every_invariant_is_numbered_and_the_tests_that_it_names_exist() {
    let all = map::invariants(&lib());
    assert_eq!(all.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    let files = ["src", "tests"].iter().flat_map(|dir| rust_files(&root().join(dir)));
    let code: String = files.map(|f| fs::read_to_string(f).unwrap()).collect();
    for (number, tests) in all {
        for test in tests {
            assert!(code.contains(&format!("fn {test}")), "invariant {number}: there is no test {test}");
        }
    }
}

#[test]
fn every_file_says_at_its_top_what_it_is_for() {
    let dirs = ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"];
    for path in dirs.iter().flat_map(|dir| rust_files(&root().join(dir))) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{}: the first line is no //!", path.display());
    }
}
