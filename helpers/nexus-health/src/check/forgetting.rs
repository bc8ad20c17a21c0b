//! Whether programs have reached the hourly limit of forgotten episodes: a program may misbehave, or an attacker may control
//! nexus-api.

use jiff::Timestamp;
use nexus_cli::text::counted;
use nexus_ledger::{Hourly, asked_within_the_hour};

use crate::context::{Check, Context};
use crate::finding::Finding;
use crate::report::Report;

/// Checks the ledger.
pub(crate) struct Forgetting;

impl Check for Forgetting {
    fn check(&mut self, ctx: &Context) -> Report {
        Report::only(match asked_within_the_hour(&ctx.args.purge_ledger, Timestamp::now()) {
            Ok(asked) => judge(asked, ctx.args.hourly),
            Err(failure) => Finding::unknown(
                "forgetting",
                format!("The purge ledger cannot be read: {failure}"),
                "Check the owner of the file and its disk",
            ),
        })
    }
}

fn judge(asked: u64, hourly: Hourly) -> Finding {
    let id = "forgetting";
    let sentence = format!("Programs asked NEXUS to forget {} in the last hour", counted(asked, "episode"));
    // With a limit of 0 the owner wants refusals.
    if asked == 0 || !hourly.is_reached(asked) {
        return Finding::ok(id, format!("{sentence}."));
    }
    Finding::critical(
        id,
        format!("{sentence}, which is the limit (NEXUS_PURGE_HOURLY is {}).", hourly.most),
        "If you did not want this, stop the API: systemctl stop nexus-api.socket nexus-api-ipv6.socket nexus-api-proxy.socket \
         nexus-api; see where the requests came from: journalctl -u nexus-api -u 'nexus-purge@*'; see which backups still hold \
         the episodes: nexus-purge --ledger",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::FindingLevel;

    #[test]
    fn a_reached_limit_is_critical() {
        let level = |asked, most| judge(asked, Hourly { most }).level;
        assert_eq!((level(0, 100), level(99, 100)), (FindingLevel::Ok, FindingLevel::Ok));
        assert_eq!(
            (level(100, 100), level(101, 100), level(1, 0)),
            (FindingLevel::Critical, FindingLevel::Critical, FindingLevel::Critical)
        );
        assert_eq!(level(0, 0), FindingLevel::Ok);
    }

    #[test]
    fn a_quotation_in_a_finding_cannot_control_a_terminal() {
        let finding = Finding::warning("x", "Container \u{1b}]0;x\u{7}\n is down.", "See \u{202e}");
        assert_eq!(
            (finding.sentence.as_str(), finding.advice.as_str()),
            (r"Container \u{1b}]0;x\u{7}\n is down.", r"See \u{202e}")
        );
    }
}
