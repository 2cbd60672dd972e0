//! Numbers as people read them, on a terminal and on a page alike.

/// `1 chunk`, `2 chunks`.
pub fn counted(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `1.2 GB`, three digits.
pub fn human_bytes(bytes: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => match bytes / unit {
            0..10 => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
            whole => format!("{whole} {name}"),
        },
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits_at_most_and_one_thing_is_no_plural() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_250, "1.2 kB"),
            (45_600_000, "45 MB"),
            (1 << 40, "1.0 TB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
        assert_eq!((counted(1, "chunk"), counted(0, "chunk")), ("1 chunk".to_owned(), "0 chunks".to_owned()));
    }
}
