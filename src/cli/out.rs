//! Standard output is data, standard error is talk. The only printing in the program.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use crate::error::{Context, Error, Kind, Result};

/// What goes well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What wants a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is lost, or failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// What can be passed over.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What is looked for first.
pub(crate) const STRONG: Style = Style::new().bold();

/// `text` in a style; plain where output goes to no terminal, or `NO_COLOR` is set.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes data to standard output. A reader that has gone (`npvr status | head`) is no error.
pub(crate) fn data(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::from(e).context("write to standard output"))
        }
        _ => Ok(()),
    }
}

/// Writes a document to standard output, as JSON with a line end.
pub(crate) fn json(document: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(document);
    let text = text.map_err(|e| Error::new(Kind::Io, "make the JSON document").caused_by(e))?;
    data(&(text + "\n"))
}

/// Says something on standard error.
pub(crate) fn say(text: impl Display) {
    // If standard error cannot be written to, there is nobody to tell.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says what went wrong, and the remedy below it.
pub(crate) fn complain(what: impl Display, hint: Option<&str>) {
    let label = styled(BAD, "npvr:");
    match hint {
        Some(hint) => say(format_args!("{label} {what}\n  {} {hint}", styled(STRONG, "hint:"))),
        None => say(format_args!("{label} {what}")),
    }
}

/// Says what an error says.
pub(crate) fn complain_of(error: &Error) {
    complain(error, error.remedy());
}

/// Asks a person; no where nobody is there to answer, and by default.
pub(crate) fn ask(question: &str) -> Result<bool> {
    if !(std::io::stdin().is_terminal() && is_watched()) {
        return Ok(false);
    }
    let mut err = anstream::stderr().lock();
    // If standard error cannot be written to, there is nobody to ask.
    let _ = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// True if a person watches standard error: long work shows how it goes.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// True if standard output is a terminal, which can be redrawn.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// `text` for a terminal that shows an older one: from the top, each line up to its end, and nothing below.
pub(crate) fn redraw(text: &str) -> String {
    const HOME: &str = "\x1b[H";
    const CLEAR_LINE: &str = "\x1b[K";
    const CLEAR_BELOW: &str = "\x1b[J";
    let lines: String = text.lines().map(|line| format!("{line}{CLEAR_LINE}\n")).collect();
    format!("{HOME}{lines}{CLEAR_BELOW}")
}
