//! The map of layers and the list of invariants, read from the documentation of `src/lib.rs`: what people read there is
//! what the tests hold the code to.

/// The map: module names, the lowest line first.
pub(crate) struct Map {
    lines: Vec<(String, Vec<String>)>,
}

impl Map {
    /// Reads the table `//! | line | modules | … |`.
    pub(crate) fn read(lib: &str) -> Self {
        let rows = lib.lines().filter_map(|l| l.strip_prefix("//! | ")).map(|l| l.split('|').map(str::trim));
        let lines = rows.filter_map(|mut cells| {
            let (label, modules) = (cells.next()?, cells.next()?);
            label.starts_with(|c: char| c.is_ascii_digit()).then(|| (label.to_owned(), quoted(modules)))
        });
        Self { lines: lines.collect() }
    }

    /// On which line a module is, counted from 0, and what the map calls that line.
    pub(crate) fn line_of(&self, module: &str) -> Option<(usize, &str)> {
        let found = self.lines.iter().enumerate().find(|(_, (_, all))| all.iter().any(|m| m == module));
        found.map(|(n, (label, _))| (n, label.as_str()))
    }

    /// True on lines 0 to 3.
    pub(crate) fn is_pure(&self, module: &str) -> bool {
        self.line_of(module).is_some_and(|(_, label)| label.starts_with(['0', '1', '2', '3']))
    }

    /// Every module of the map.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &String> {
        self.lines.iter().flat_map(|(_, modules)| modules)
    }
}

/// The invariants: number, and the names of the tests that prove it.
pub(crate) fn invariants(lib: &str) -> Vec<(usize, Vec<String>)> {
    let mut all: Vec<(usize, Vec<String>)> = Vec::new();
    let mut in_tests = false;
    for line in lib.lines().filter_map(|l| l.strip_prefix("//! ")).map(str::trim_start) {
        if let Some(number) = line.split_once(". ").and_then(|(n, _)| n.parse().ok()) {
            all.push((number, Vec::new()));
            in_tests = false;
        }
        // The names of the tests end the item.
        in_tests |= line.starts_with("Test");
        if let Some((_, tests)) = all.last_mut().filter(|_| in_tests) {
            tests.extend(quoted(line));
        }
    }
    all
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
