//! What needs attention, as pages mark it.

use crate::status::{Attention, Severity};

/// A sentence, and the class by which the style sheet says how much it matters.
pub(super) struct Point {
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// All that needs attention, worst first.
pub(super) fn points(attention: &[Attention]) -> Vec<Point> {
    attention.iter().map(|one| Point { class: class(one.severity), text: one.text.clone() }).collect()
}

/// The class of a severity.
pub(super) fn class(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "bad",
        Severity::Warning => "warn",
        Severity::Notice => "note",
    }
}
