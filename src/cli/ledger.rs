//! `npvr ledger export | import | backup | check`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::exit::Exit;
use super::out;
use super::site::{Places, Site};
use crate::error::{Context, Error, Kind, Result};
use crate::ledger::{Ledger, Record, read_records};
use crate::words::{counted, human_bytes};

/// So many bytes of lines are gathered before they are written.
const BLOCK: usize = 64 * 1024;

/// Export, import, back up and check the ledger: the database of what is archived
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the whole ledger as JSON, one object a line
    ///
    /// All of it is of one moment, while other runs go on. The first line has the version of the format; what follows are
    /// channels, tracks, jobs, logs, chunks, gaps, holds and garbage. Nothing secret is in it.
    Export {
        /// File to write [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Write over the file if it is there
        #[arg(long, requires = "output")]
        force: bool,
    },
    /// Read an export into a ledger that is empty
    Import {
        /// File to read; - is standard input
        file: PathBuf,
    },
    /// Write a copy of the ledger that is of one moment, while other runs go on
    ///
    /// To restore it: stop everything that runs npvr, put the copy in the place of ledger.db in the state folder, delete
    /// ledger.db-wal and ledger.db-shm there, and run: npvr verify --repair
    Backup {
        /// File to write
        file: PathBuf,
        /// Write over the file if it is there
        #[arg(long)]
        force: bool,
    },
    /// Look for damage in the database itself
    Check,
}

pub(crate) fn run(args: Args, places: &Places) -> Result<Exit> {
    let site = Site::open(places)?;
    let ledger = site.place.ledger.as_ref();
    match args.command {
        Command::Export { output: None, .. } => export(ledger, &mut out::data)?,
        Command::Export { output: Some(file), force } => export_to(ledger, &file, force)?,
        Command::Import { file } => import(ledger, &file)?,
        Command::Backup { file, force } => {
            ledger.backup(&file, force)?;
            let bytes = std::fs::metadata(&file).map_or(0, |m| m.len());
            if out::is_watched() {
                out::say(format_args!("{}, {}", file.display(), human_bytes(bytes)));
            }
        }
        Command::Check => return check(ledger),
    }
    Ok(Exit::Well)
}

fn export(ledger: &dyn Ledger, write: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    let mut block = String::with_capacity(2 * BLOCK);
    ledger.export(&mut |record: Record| {
        block += &record.line()?;
        if block.len() >= BLOCK {
            write(&block)?;
            block.clear();
        }
        Ok(())
    })?;
    write(&block)
}

/// Whole or not at all: a temporary file beside it, brought to the disk, and renamed.
fn export_to(ledger: &dyn Ledger, to: &Path, force: bool) -> Result<()> {
    let of_file = || format!("export the ledger to {}", to.display());
    let folder = to.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new().prefix(".npvr-export-").tempfile_in(folder);
    let mut temporary = temporary.with_context(of_file)?;
    export(ledger, &mut |text| temporary.write_all(text.as_bytes()).with_context(of_file))?;
    temporary.as_file().sync_all().with_context(of_file)?;
    let placed = if force { temporary.persist(to) } else { temporary.persist_noclobber(to) };
    placed.map_err(|e| match e.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::new(Kind::Usage, "it is there already")
            .hint("choose another name; --force writes over it")
            .context(of_file()),
        _ => Error::from(e.error).context(of_file()),
    })?;
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(of_file)
}

fn import(ledger: &dyn Ledger, file: &Path) -> Result<()> {
    let of_file = || format!("import {}", file.display());
    let text: Box<dyn BufRead> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(file).with_context(of_file)?)),
    };
    let records = ledger.import(&mut read_records(text)).with_context(of_file)?;
    out::say(format_args!("{} imported", counted(records, "record")));
    Ok(())
}

fn check(ledger: &dyn Ledger) -> Result<Exit> {
    let problems = ledger.problems()?;
    for problem in &problems {
        out::complain(format_args!("ledger: {problem}"), Some("restore it from a backup"));
    }
    if problems.is_empty() && out::is_watched() {
        out::say("the ledger is sound");
    }
    Ok(Exit::problem_if(!problems.is_empty()))
}
