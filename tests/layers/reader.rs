//! Reads one Rust file into the facts that the rules need: the paths it names, its functions, and which parts are tests.
//!
//! It reads tokens, not a syntax tree: comments and strings are then out of the way, and what stands inside a macro call
//! is seen like everything else.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path that a file names, absolute as far as that can be told: `crate::…` or an outside crate first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its segments; a macro call has one, with its `!`.
    pub(crate) path: Vec<String>,
    /// The line, from 1.
    pub(crate) line: usize,
    /// True inside `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From its `fn` to its closing brace, from 1.
    pub(crate) lines: RangeInclusive<usize>,
    pub(crate) in_test: bool,
}

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) named: Vec<Named>,
    pub(crate) functions: Vec<Function>,
    /// Lines of `#[cfg(test)]` items.
    pub(crate) test_lines: usize,
    /// `#[cfg(test)] mod NAME;`: files that are tests.
    pub(crate) test_files: Vec<String>,
}

/// Reads `text`, the file of module `module` (without `crate`; empty for the crate's root).
pub(crate) fn read(text: &str, module: &[String]) -> Result<Facts, String> {
    let tokens: TokenStream = text.parse().map_err(|e| format!("this is not Rust: {e}"))?;
    let mut reader = Reader { module: module.to_vec(), facts: Facts::default(), in_test: false };
    reader.walk(&tokens.into_iter().collect::<Vec<_>>());
    Ok(reader.facts)
}

struct Reader {
    module: Vec<String>,
    facts: Facts,
    in_test: bool,
}

impl Reader {
    fn walk(&mut self, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            at += self.step(tokens, at);
        }
    }

    /// Reads what starts at `at`, and says how many tokens it was.
    fn step(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        if let Some(len) = self.test_item(tokens, at) {
            return len;
        }
        match &tokens[at] {
            TokenTree::Group(group) => {
                self.walk(&inside(group));
                1
            }
            TokenTree::Ident(word) => match (word.to_string().as_str(), tokens.get(at + 1)) {
                ("use", _) => self.tree(&tokens[at + 1..], &[]) + 1,
                ("mod", Some(TokenTree::Ident(name))) => self.module(&name.to_string(), tokens.get(at + 2)),
                ("fn", Some(TokenTree::Ident(name))) => {
                    self.function(&name.to_string(), &tokens[at..]);
                    2
                }
                ("async", _) => {
                    self.name(&["async".to_owned()], word);
                    1
                }
                (_, Some(TokenTree::Punct(mark))) if mark.as_char() == '!' => {
                    self.name(&[format!("{word}!")], word);
                    2
                }
                _ if is_colons(&tokens[at + 1..]) => self.tree(&tokens[at..], &[]),
                _ => 1,
            },
            _ => 1,
        }
    }

    /// `#[cfg(test)]` and the item after it.
    fn test_item(&mut self, tokens: &[TokenTree], at: usize) -> Option<usize> {
        let (TokenTree::Punct(hash), TokenTree::Group(attribute)) = (&tokens[at], tokens.get(at + 1)?) else {
            return None;
        };
        if self.in_test || hash.as_char() != '#' || attribute.to_string().replace(' ', "") != "[cfg(test)]" {
            return None;
        }
        let item = &tokens[at + 2..];
        let len = item.iter().position(ends_item).map_or(item.len(), |end| end + 1);
        self.in_test = true;
        self.walk(&item[..len]);
        self.in_test = false;
        if let [.., TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(_)] = &item[..len]
            && word == "mod"
        {
            self.facts.test_files.push(name.to_string());
        }
        let end = item[..len].last().map_or_else(|| hash.span().end(), |last| last.span().end());
        self.facts.test_lines += end.line - hash.span().start().line + 1;
        Some(len + 2)
    }

    fn module(&mut self, name: &str, body: Option<&TokenTree>) -> usize {
        let Some(TokenTree::Group(body)) = body else { return 2 };
        self.module.push(name.to_owned());
        self.walk(&inside(body));
        self.module.pop();
        3
    }

    /// Notes the function; its tokens are walked by the caller.
    fn function(&mut self, name: &str, tokens: &[TokenTree]) {
        let Some(TokenTree::Group(body)) = tokens.iter().find(|t| ends_item(t)) else { return };
        let lines = tokens[0].span().start().line..=body.span_close().end().line;
        self.facts.functions.push(Function { name: name.to_owned(), lines, in_test: self.in_test });
    }

    /// A path, or the tree of a `use`. Says how many tokens it was.
    fn tree(&mut self, tokens: &[TokenTree], prefix: &[String]) -> usize {
        let mut path = prefix.to_vec();
        let mut at = if is_colons(tokens) { 2 } else { 0 };
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(word)) => {
                    path.push(word.to_string());
                    at += 1;
                    if is_colons(&tokens[at..]) {
                        at += 2;
                        continue;
                    }
                    self.name(&path, word);
                }
                Some(TokenTree::Group(group))
                    if group.delimiter() == Delimiter::Brace && !path.is_empty() =>
                {
                    for branch in inside(group).split(|t| is_mark(t, ',')) {
                        self.tree(branch, &path);
                    }
                    at += 1;
                }
                // A glob, or the `<` of generic arguments: what came before is the path.
                Some(other) if !path.is_empty() => self.name_at(&path, other.span().start().line),
                _ => {}
            }
            return at.max(1);
        }
    }

    fn name(&mut self, path: &[String], word: &proc_macro2::Ident) {
        self.name_at(path, word.span().start().line);
    }

    /// Notes a path, with `self` and `super` spelled out.
    fn name_at(&mut self, path: &[String], line: usize) {
        let ups = path.iter().take_while(|s| *s == "super").count();
        let relative = ups > 0 || path.first().is_some_and(|s| s == "self");
        let path = if relative {
            let kept = &self.module[..self.module.len().saturating_sub(ups)];
            let rest = path.iter().skip(ups.max(1));
            ["crate".to_owned()].iter().chain(kept).chain(rest).cloned().collect()
        } else {
            path.to_vec()
        };
        self.facts.named.push(Named { path, line, in_test: self.in_test });
    }
}

fn inside(group: &proc_macro2::Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == mark)
}

fn is_colons(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [a, b, ..] if is_mark(a, ':') && is_mark(b, ':'))
}

fn ends_item(token: &TokenTree) -> bool {
    is_mark(token, ';') || matches!(token, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace)
}
