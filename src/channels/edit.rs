//! The text of a channel file: a new one, with comments, and changes that leave the rest as it is.

use toml_edit::{Array, DocumentMut, Item, Value};

use crate::channel::{Form, KEYS, Key, Name, nearest};
use crate::error::{Error, Kind, Result};

/// A new channel file. Keys that are not given stand in it as comments, with their default or an example.
pub(super) fn new_file(name: &Name, values: &[(&str, &str)]) -> Result<String> {
    if let Some((unknown, _)) = values.iter().find(|(key, _)| !KEYS.iter().any(|k| k.name == *key)) {
        return Err(unknown_key(unknown));
    }
    let mut text = format!(
        "# Channel {name} of npvr. The name of this file is the name of the channel.\n\
         # Lines that start with '#' show what else can be set, with its default or an example.\n\
         # To try it out: npvr channel probe {name}\n"
    );
    for key in KEYS {
        let given = values.iter().find(|(k, _)| *k == key.name);
        let value = given.map(|(_, value)| typed(key, value)).transpose()?;
        let lines = lines(key, value.as_ref(), values);
        text += &format!("\n# {}\n{lines}", key.note);
    }
    Ok(text)
}

/// The line of one key; before it, for the first key of a table, the line of the table. That one counts as soon as one of
/// the table's keys is in `values`.
fn lines(key: &Key, value: Option<&Value>, values: &[(&str, &str)]) -> String {
    let hash = |given: bool| if given { "" } else { "# " };
    let shown = value.map_or_else(|| key.example.to_owned(), |v| v.to_string().trim().to_owned());
    let own = hash(value.is_some());
    match key.name.split_once('.') {
        Some((table, inner)) => {
            let is_in = |name: &str| name.split_once('.').is_some_and(|(t, _)| t == table);
            let is_first = KEYS.iter().find(|k| is_in(k.name)).is_some_and(|k| k.name == key.name);
            let above = match is_first {
                true => format!("{}[{table}]\n", hash(values.iter().any(|(name, _)| is_in(name)))),
                false => String::new(),
            };
            format!("{above}{own}{inner} = {shown}\n")
        }
        None if key.form == Form::SecretTable => format!("# [{}]\n# {}\n", key.name, key.example),
        None => format!("{own}{} = {shown}\n", key.name),
    }
}

/// Sets one key in a text, and leaves everything else as it is.
pub(super) fn set(text: &str, key: &str, value: &str) -> Result<String> {
    let mut document = parse(text)?;
    let known = KEYS.iter().find(|k| k.name == key && k.form != Form::SecretTable);
    let header = key.strip_prefix("headers.").map(|_| Value::from(value));
    let new = match known {
        Some(known) => typed(known, value)?,
        None => header.ok_or_else(|| unknown_key(key))?,
    };
    let table = match key.split_once('.') {
        Some((table, _)) => document.entry(table).or_insert_with(toml_edit::table).as_table_like_mut(),
        None => Some(document.as_table_mut() as &mut dyn toml_edit::TableLike),
    };
    let table = table.ok_or_else(|| Error::new(Kind::Config, format!("{key}: this is no table")))?;
    let inner = key.split_once('.').map_or(key, |(_, inner)| inner);
    match table.get_mut(inner).and_then(Item::as_value_mut) {
        Some(old) => {
            // A comment behind the value belongs to the value.
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => drop(table.insert(inner, Item::Value(new))),
    }
    Ok(document.to_string())
}

/// Takes one key out of a text, and leaves everything else as it is.
pub(super) fn unset(text: &str, key: &str) -> Result<String> {
    let mut document = parse(text)?;
    let (table, inner) = key.split_once('.').unwrap_or(("", key));
    let table = match table {
        "" => Some(document.as_table_mut() as &mut dyn toml_edit::TableLike),
        table => document.get_mut(table).and_then(Item::as_table_like_mut),
    };
    drop(table.map(|table| table.remove(inner)));
    Ok(document.to_string())
}

/// A switch in a text; `None` if it is not set.
pub(super) fn switch(text: &str, key: &str) -> Option<bool> {
    parse(text).ok()?.get(key)?.as_bool()
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|e: toml_edit::TomlError| {
        // `message` alone: the error's own text quotes the line, and a password may stand on it.
        let line = e.span().map_or(1, |s| text.bytes().take(s.start).filter(|b| *b == b'\n').count() + 1);
        Error::new(Kind::Config, format!("line {line}: this is not TOML: {}", e.message()))
    })
}

/// A value as a command line gives it, in the form of its key. What it means is looked at later.
fn typed(key: &Key, text: &str) -> Result<Value> {
    let fail = |form| Error::new(Kind::Usage, format!("{}: {text:?} is not {form}", key.name));
    Ok(match key.form {
        Form::Text | Form::Secret => Value::from(text),
        Form::Switch => Value::from(text.parse::<bool>().map_err(|_| fail("true or false"))?),
        Form::Count => Value::from(text.parse::<i64>().map_err(|_| fail("a whole number"))?),
        Form::List | Form::SecretList => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.collect::<Array>())
        }
        Form::SecretTable => {
            return Err(
                Error::new(Kind::Usage, format!("{} is a table", key.name)).hint("write it in the file")
            );
        }
    })
}

fn unknown_key(key: &str) -> Error {
    let error = Error::new(Kind::Usage, format!("unknown key {key:?}"));
    match nearest(key, KEYS.iter().map(|k| k.name)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error,
    }
}
