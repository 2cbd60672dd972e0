//! Killed at any step of putting a chunk into a bucket, the program loses nothing and needs no hand.

use npvr::failpoint::STEPS;
use npvr::time::{Range, Time};

use super::{LONG, Staged};

#[test]
fn a_capture_to_a_bucket_that_is_killed_after_any_step_is_finished_by_the_next_run() {
    let steps: Vec<&str> = STEPS.iter().copied().filter(|s| s.starts_with("s3-")).collect();
    assert_eq!(steps.len(), 4);
    for step in steps {
        let s = Staged::new(72, LONG);
        let cell = Range::new(Time::from_s(s.live.end().s() - 720), s.live.end());
        let mut command = s.site.command(["capture", "news", &cell.to_string()]);
        command.env("NPVR_FAILPOINT", step);
        let ran = super::common::finish(command);
        assert_eq!(ran.code, None, "{step} was not reached: {ran:?}");
        let before = s.live.requests();
        s.run(&["check"]).expect_silence();
        s.assert_sound(2);
        // Those of the short cell in which the archive begins; of this one nothing is fetched that is in the spool.
        let asked = s.live.requests_since(before).segment;
        assert!(asked < 20, "{step}: {asked} segments were fetched again");
    }
}
