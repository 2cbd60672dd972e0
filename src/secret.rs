<<<<<<< HEAD
//! Text that must not be shown: passwords, tokens, values of request headers.
//!
//! The type has no way to be printed by accident: `{}` and `{:?}` give `<redacted>`, and only
//! [`Secret::expose`] gives the text, so that every use of it can be found.

use std::fmt;

/// A text that no log, error or status may hold.
=======
//! Text that must never be shown: passwords, keys, header values.
//!
//! A type of its own, so that a `{:?}` of whatever holds it cannot leak it: only [`Secret::expose`] gives it away,
//! and that word is easy to search for.

use std::fmt;

/// Secret text. `Debug` and `Display` say `<redacted>`.
>>>>>>> source
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
<<<<<<< HEAD
    /// Makes `text` a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
=======
    /// Keeps `text` from view.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for the one place that has to send it.
>>>>>>> source
    pub fn expose(&self) -> &str {
        &self.0
    }
}

<<<<<<< HEAD
=======
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

>>>>>>> source
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

<<<<<<< HEAD
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

=======
>>>>>>> source
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
<<<<<<< HEAD
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "<redacted> <redacted>");
=======
    fn a_secret_is_shown_to_nobody_who_does_not_ask() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "<redacted> <redacted> Some(<redacted>)"
        );
>>>>>>> source
        assert_eq!(secret.expose(), "hunter2");
    }
}
