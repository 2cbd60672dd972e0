//! TOML as it is written: flat keys, each with its value and the line that it stands on.
//!
//! Only the form is looked at here (known key, right type); what a value means is [`super::resolve`]'s. Values of
//! secret keys are in no message: a message never quotes the file.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};

use super::keys::{self, Form, KEYS};
use crate::error::{Error, Kind, Result};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file, counted from 1.
    File {
        /// The file, as it is named in messages.
        file: String,
        /// The line of the key.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { file, line } => write!(f, "{file}, line {line}"),
        }
    }
}

/// A value of the form that its key asks for.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    Switch(bool),
    Count(u64),
    List(Vec<String>),
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Entry {
    /// True if a person set it; false for a default.
    pub(super) fn is_set(&self) -> bool {
        self.origin != Origin::Default
    }
}

/// Some values of a channel: those of one file. Not printable, since it may hold secrets.
#[derive(Clone, Default)]
pub struct Layer {
    /// The file, as it is named in messages.
    pub(super) file: String,
    /// By key; request headers as `headers.x-name`, in lower case.
    pub(super) entries: BTreeMap<String, Entry>,
}

impl Layer {
    /// Reads a channel file. `file` is its name in messages.
    ///
    /// # Errors
    /// [`Kind::Config`] with file, line, what is wrong and what would be right.
    pub fn parse(text: &str, file: &str) -> Result<Layer> {
        let document = Document { text, file };
        Layer::from_table(&document, document.root()?.get_ref(), &[])
    }

    /// The defaults of [`KEYS`].
    pub(super) fn defaults() -> Result<Layer> {
        let lines = KEYS.iter().filter_map(|k| k.default.map(|d| format!("{} = {d}\n", k.name)));
        let mut layer = Layer::parse(&lines.collect::<String>(), "the defaults")?;
        layer.entries.values_mut().for_each(|e| e.origin = Origin::Default);
        Ok(layer)
    }

    /// The values of `table`, which may hold any key of a channel but `refused`.
    pub(super) fn from_table(
        document: &Document<'_>,
        table: &DeTable<'_>,
        refused: &[(&str, &str)],
    ) -> Result<Layer> {
        let mut layer = Layer { file: document.file.to_owned(), entries: BTreeMap::new() };
        let mut faults = Vec::new();
        layer.walk(document, "", table, refused, &mut faults);
        // Dotted keys may be scattered over the file; the person reads it from the top.
        match faults.into_iter().min_by_key(|(offset, _)| *offset) {
            Some((_, fault)) => Err(fault),
            None => Ok(layer),
        }
    }

    fn walk(
        &mut self,
        document: &Document<'_>,
        prefix: &str,
        table: &DeTable<'_>,
        refused: &[(&str, &str)],
        faults: &mut Vec<(usize, Error)>,
    ) {
        // A table is sorted by key; of two spellings of one header the later in the file is the one too many.
        let mut in_file_order: Vec<_> = table.iter().collect();
        in_file_order.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in in_file_order {
            let offset = key.span().start;
            let name = format!("{prefix}{}", key.get_ref());
            let name = if prefix == "headers." { name.to_ascii_lowercase() } else { name };
            let mut fail = |error: Error| faults.push((offset, error));
            if let Some((_, why)) = refused.iter().find(|(k, _)| *k == name) {
                fail(document.fault(offset, format!("{name} cannot stand here")).hint(*why));
            } else if let (true, DeValue::Table(inner)) = (holds_keys(&name), value.get_ref()) {
                self.walk(document, &format!("{name}."), inner, refused, faults);
            } else if let Some(form) = form_of(prefix, &name) {
                match typed(form, value.get_ref()) {
                    Some(_) if self.entries.contains_key(&name) => {
                        fail(document.fault(offset, format!("{name} is given twice")));
                    }
                    Some(value) => {
                        drop(self.entries.insert(name, Entry { value, origin: document.at(offset) }))
                    }
                    None => {
                        let got = value.get_ref().type_str();
                        let must = format!("{name} must be {}, and is of type {got}", form.said());
                        fail(document.fault(offset, must));
                    }
                }
            } else if holds_keys(&name) {
                fail(document.fault(offset, format!("{name} must be a table: [{name}]")));
            } else {
                let tables = ["disk", "ism", "playback", "s3", "unified"];
                fail(document.unknown(offset, &name, KEYS.iter().map(|k| k.name).chain(tables)));
            }
        }
    }
}

/// True for the name of a table of keys: `disk`, `headers`.
fn holds_keys(name: &str) -> bool {
    name == "headers"
        || KEYS.iter().any(|k| k.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn form_of(prefix: &str, name: &str) -> Option<Form> {
    if prefix == "headers." {
        return Some(Form::Secret);
    }
    keys::find(name).map(|k| k.form).filter(|f| *f != Form::SecretTable)
}

fn typed(form: Form, value: &DeValue<'_>) -> Option<Value> {
    match (form, value) {
        (Form::Text | Form::Secret, DeValue::String(text)) => Some(Value::Text(text.clone().into_owned())),
        (Form::Switch, DeValue::Boolean(on)) => Some(Value::Switch(*on)),
        (Form::Count, DeValue::Integer(n)) => {
            u64::from_str_radix(n.as_str(), n.radix()).ok().map(Value::Count)
        }
        (Form::List | Form::SecretList, DeValue::Array(items)) => {
            let texts = items.iter().map(|v| v.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<_>>().map(Value::List)
        }
        _ => None,
    }
}

/// A TOML text and what it is called, for messages.
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
}

impl<'a> Document<'a> {
    /// The whole document as a table.
    pub(super) fn root(&self) -> Result<toml::Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|e| {
            // `message` alone: the error's own text quotes the line, and a password may stand on it.
            let offset = e.span().map_or(0, |s| s.start);
            self.fault(offset, format!("this is not TOML: {}", e.message()))
        })
    }

    /// The line that holds `offset`.
    pub(super) fn at(&self, offset: usize) -> Origin {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        Origin::File { file: self.file.to_owned(), line }
    }

    /// An error about the line that holds `offset`.
    pub(super) fn fault(&self, offset: usize, what: impl fmt::Display) -> Error {
        Error::new(Kind::Config, what.to_string()).context(self.at(offset))
    }

    /// An error about a key that nobody knows.
    pub(super) fn unknown<'k>(
        &self,
        offset: usize,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Error {
        let error = self.fault(offset, format!("unknown key {name:?}"));
        match keys::nearest(name, known) {
            Some(nearest) => error.hint(format!("did you mean {nearest}?")),
            None => error.hint("npvr config show prints the keys that there are"),
        }
    }
}
