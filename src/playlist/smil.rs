//! SMIL for Unified Remix: a clip as a list of chunks, with in and out points in wall-clock time.
//!
//! The classic dialect is what the reference serves, byte for byte: one `<seq>`, with the in point on its first chunk and the
//! out point on its last. A clip of several runs is a `<seq>` for each of them inside that one, so that every run keeps its own
//! points. The continuous dialect has the points on the `<seq>` of each run, and says that its chunks follow on one another.

use std::fmt::{self, Write as _};

use quick_xml::escape::escape;

use super::{HEAD, ROOT};
use crate::channel::Dialect;
use crate::clip::{Clip, Run};
use crate::grid::Cell;
use crate::time::Time;

/// How many bytes the line of a chunk has, beside its URL's beginning.
const LINE_BYTES: usize = 100;
/// How many bytes are around the chunks.
const AROUND_BYTES: usize = 512;

/// The playlist of a clip. `folder` is the URL of the channel's folder, with a slash at its end.
pub fn smil(clip: &Clip, folder: &str, dialect: Dialect) -> String {
    smil_with(clip, folder, &|_| String::new(), dialect)
}

/// The same, with what `query` says behind the URL of each chunk.
pub fn smil_with(clip: &Clip, folder: &str, query: &dyn Fn(Cell) -> String, dialect: Dialect) -> String {
    let folder = escape(folder);
    let lines: usize = clip.runs().map(|run| run.chunks.len() + 2).sum();
    let mut out = String::with_capacity(AROUND_BYTES + lines * (LINE_BYTES + folder.len()));
    // Writing to a string cannot fail.
    let _ = Writer { out: &mut out, folder: &folder, query, dialect }.document(clip);
    out
}

struct Writer<'a> {
    out: &'a mut String,
    /// Escaped.
    folder: &'a str,
    query: &'a dyn Fn(Cell) -> String,
    dialect: Dialect,
}

impl Writer<'_> {
    fn document(&mut self, clip: &Clip) -> fmt::Result {
        self.out.push_str(HEAD);
        self.out.push_str(ROOT);
        self.out.push_str("  <head/>\n  <body>\n");
        let mut runs = clip.runs();
        match (runs.next(), runs.next()) {
            (Some(run), None) => self.run(run, "    ")?,
            _ => {
                self.out.push_str("    <seq>\n");
                for run in clip.runs() {
                    self.run(run, "      ")?;
                }
                self.out.push_str("    </seq>\n");
            }
        }
        self.out.push_str("  </body>\n</smil>\n");
        Ok(())
    }

    fn run(&mut self, run: &Run, indent: &str) -> fmt::Result {
        let (start, end) = (run.range.start, run.range.end);
        match self.dialect {
            Dialect::Classic => writeln!(self.out, "{indent}<seq>")?,
            Dialect::Continuous => {
                write!(self.out, "{indent}<seq isContinuous=\"true\"")?;
                self.point("clipBegin", start);
                self.point("clipEnd", end);
                self.out.push_str(">\n");
            }
        }
        let last = run.chunks.len().saturating_sub(1);
        for (n, chunk) in run.chunks.iter().enumerate() {
            self.out.push_str(indent);
            self.out.push_str("  <video src=\"");
            self.source(*chunk);
            self.out.push('"');
            if self.dialect == Dialect::Classic {
                if n == 0 {
                    self.point("clipBegin", start);
                }
                if n == last {
                    self.point("clipEnd", end);
                }
            }
            self.out.push_str("/>\n");
        }
        writeln!(self.out, "{indent}</seq>")
    }

    /// The URL of a chunk: its key below the folder, as [`Cell::key`] writes it, whose characters all stand for themselves in
    /// URLs and in XML.
    fn source(&mut self, chunk: Cell) {
        let (start, end) = (chunk.start().text(), chunk.end().text());
        for part in [self.folder, &start.as_str()[..10], "/", start.as_str(), "--", end.as_str(), ".ismv"] {
            self.out.push_str(part);
        }
        self.out.push_str(&escape((self.query)(chunk)));
    }

    fn point(&mut self, name: &str, at: Time) {
        for part in [" ", name, "=\"wallclock(", at.text().as_str(), ")\""] {
            self.out.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::clip::Part;
    use crate::grid::Grid;
    use crate::time::Range;

    /// A clip of these runs, played from all cells of five minutes that they touch.
    fn clip(runs: &[&str]) -> Clip {
        let grid = Grid::new(Duration::from_secs(300)).unwrap();
        let run = |text: &&str| {
            let range: Range = text.parse().unwrap();
            Run { range, chunks: grid.cells(range).collect() }
        };
        let runs: Vec<Run> = runs.iter().map(run).collect();
        let asked = runs[0].range;
        Clip { parts: vec![Part { asked, runs, gaps: Vec::new(), closed: true, settled_until: asked.end }] }
    }

    /// The body of a document.
    fn body(document: &str) -> &str {
        let (_, body) = document.split_once("<body>\n").unwrap();
        body.split_once("  </body>").unwrap().0
    }

    #[test]
    fn the_sample_of_the_reference_is_written_byte_for_byte() {
        let mut clip = clip(&["2019-07-08T05:55:00Z--2019-07-08T06:04:30Z"]);
        clip.parts[0].runs[0].range.start = "2019-07-08T06:00:00Z".parse().unwrap();
        let folder = "http://s3.eu-central-1.amazonaws.com/npvr-archiver-test/scte35/";
        let expected = r#"<?xml version='1.0' encoding='UTF-8'?>
<smil xmlns="http://www.w3.org/2001/SMIL20/Language">
  <head/>
  <body>
    <seq>
      <video src="http://s3.eu-central-1.amazonaws.com/npvr-archiver-test/scte35/2019-07-08/2019-07-08T05:55:00Z--2019-07-08T06:00:00Z.ismv" clipBegin="wallclock(2019-07-08T06:00:00Z)"/>
      <video src="http://s3.eu-central-1.amazonaws.com/npvr-archiver-test/scte35/2019-07-08/2019-07-08T06:00:00Z--2019-07-08T06:05:00Z.ismv" clipEnd="wallclock(2019-07-08T06:04:30Z)"/>
    </seq>
  </body>
</smil>
"#;
        assert_eq!(smil(&clip, folder, Dialect::Classic), expected);
    }

    #[test]
    fn a_single_chunk_has_both_points() {
        let clip = clip(&["2019-07-08T06:00:30Z--2019-07-08T06:04:30.500Z"]);
        let expected = "    <seq>\n      <video src=\"/x/2019-07-08/2019-07-08T06:00:00Z--2019-07-08T06:05:00Z.ismv\" \
                        clipBegin=\"wallclock(2019-07-08T06:00:30Z)\" clipEnd=\"wallclock(2019-07-08T06:04:30.500Z)\"/>\n    \
                        </seq>\n";
        assert_eq!(body(&smil(&clip, "/x/", Dialect::Classic)), expected);
    }

    #[test]
    fn several_runs_keep_their_own_points_in_both_dialects() {
        let runs =
            ["2019-07-08T06:00:30Z--2019-07-08T06:10:00Z", "2019-07-08T06:15:00Z--2019-07-08T06:17:00Z"];
        let classic = r#"    <seq>
      <seq>
        <video src="/x/2019-07-08/2019-07-08T06:00:00Z--2019-07-08T06:05:00Z.ismv" clipBegin="wallclock(2019-07-08T06:00:30Z)"/>
        <video src="/x/2019-07-08/2019-07-08T06:05:00Z--2019-07-08T06:10:00Z.ismv" clipEnd="wallclock(2019-07-08T06:10:00Z)"/>
      </seq>
      <seq>
        <video src="/x/2019-07-08/2019-07-08T06:15:00Z--2019-07-08T06:20:00Z.ismv" clipBegin="wallclock(2019-07-08T06:15:00Z)" clipEnd="wallclock(2019-07-08T06:17:00Z)"/>
      </seq>
    </seq>
"#;
        assert_eq!(body(&smil(&clip(&runs), "/x/", Dialect::Classic)), classic);
        let continuous = r#"    <seq>
      <seq isContinuous="true" clipBegin="wallclock(2019-07-08T06:00:30Z)" clipEnd="wallclock(2019-07-08T06:10:00Z)">
        <video src="/x/2019-07-08/2019-07-08T06:00:00Z--2019-07-08T06:05:00Z.ismv"/>
        <video src="/x/2019-07-08/2019-07-08T06:05:00Z--2019-07-08T06:10:00Z.ismv"/>
      </seq>
      <seq isContinuous="true" clipBegin="wallclock(2019-07-08T06:15:00Z)" clipEnd="wallclock(2019-07-08T06:17:00Z)">
        <video src="/x/2019-07-08/2019-07-08T06:15:00Z--2019-07-08T06:20:00Z.ismv"/>
      </seq>
    </seq>
"#;
        assert_eq!(body(&smil(&clip(&runs), "/x/", Dialect::Continuous)), continuous);
        let one = smil(&clip(&runs[1..]), "/x/", Dialect::Continuous);
        assert!(body(&one).starts_with("    <seq isContinuous=\"true\" clipBegin="), "{one}");
        assert_eq!(one.matches("<seq").count(), 1);
    }

    #[test]
    fn what_would_end_an_attribute_is_escaped() {
        let text =
            smil(&clip(&["2019-07-08T06:00:30Z--2019-07-08T06:01:00Z"]), "/a&b\"<'>/", Dialect::Classic);
        assert!(text.contains("src=\"/a&amp;b&quot;&lt;&apos;&gt;/2019"), "{text}");
        let clip = clip(&["2019-07-08T06:00:30Z--2019-07-08T06:06:00Z"]);
        let signed = smil_with(&clip, "/x/", &|cell| format!("?a=1&b={}", cell.end()), Dialect::Continuous);
        for end in ["2019-07-08T06:05:00Z", "2019-07-08T06:10:00Z"] {
            assert!(signed.contains(&format!("{end}.ismv?a=1&amp;b={end}\"/>")), "{signed}");
        }
    }

    proptest! {
        #[test]
        fn the_source_of_a_chunk_is_its_key(start_s in 0_i64..8_000_000_000, seconds in 1_i64..86_400) {
            let range = Range::new(Time::from_s(start_s), Time::from_s(start_s + seconds));
            let run = Run { range, chunks: vec![Cell::from_range(range)] };
            let part = Part { asked: range, runs: vec![run], gaps: Vec::new(), closed: true, settled_until: range.end };
            let text = smil(&Clip { parts: vec![part] }, "http://h/news/", Dialect::Continuous);
            let source = format!("src=\"http://h/{}\"", Cell::from_range(range).key("news"));
            prop_assert!(text.contains(&source), "{}", text);
        }
    }
}
