//! Which records are asked for, by what they say of themselves.
//!
//! A record is left out only by what it tells. One that names no account, or no Region, may be any's.

use super::columns::Event;

/// Bounds that every record is held to, whatever its object is called. Everything, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Accounts whose logs the records are of (`recipientAccountId`); all when empty.
    pub accounts: Vec<String>,
    /// Regions; all when empty.
    pub regions: Vec<String>,
    /// Events from this instant on, microseconds UTC.
    pub since: Option<i64>,
    /// Events before this instant, microseconds UTC.
    pub until: Option<i64>,
}

impl Only {
    /// Whether an event is within these bounds.
    #[must_use]
    pub fn admits(&self, event: &Event<'_>) -> bool {
        let among = |wanted: &[String], found: Option<&str>| {
            wanted.is_empty() || found.is_none_or(|found| wanted.iter().any(|one| one == found))
        };
        among(&self.accounts, event.account_id.as_deref())
            && among(&self.regions, event.region.as_deref())
            && event.event_time.is_none_or(|at| {
                self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_left_out_only_by_what_it_tells() {
        let event = |account: Option<&'static str>, region: Option<&'static str>, at| Event {
            account_id: account.map(Into::into),
            region: region.map(Into::into),
            event_time: Some(at),
            ..Event::default()
        };
        let only = Only {
            accounts: vec!["111122223333".to_owned()],
            regions: vec!["eu-west-1".to_owned(), "us-east-1".to_owned()],
            since: Some(10),
            until: Some(20),
        };
        let (ours, here) = (Some("111122223333"), Some("eu-west-1"));
        assert!(only.admits(&event(ours, here, 10)) && only.admits(&event(None, None, 19)));
        for other in [
            event(Some("444455556666"), here, 10),
            event(ours, Some("eu-west-2"), 10),
            event(ours, here, 9),
            event(ours, here, 20),
        ] {
            assert!(!only.admits(&other), "{other:?}");
            assert!(Only::default().admits(&other));
        }
    }
}
