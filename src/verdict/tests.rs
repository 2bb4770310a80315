//! What hours count, and where a key stands.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::Index;

use super::calendar::{cover, weeks};
use super::facts::{Facts, Granted, Lane, LaneHour, Member, Set, UseDay, Worth};
use super::judge::judge;
use super::phase::phase;
use super::users::Dependent;
use super::{Answer, Asked, Options, Phase};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn asked() -> Asked {
    let (since, until) = (time("2026-05-01T00:30:00Z"), time("2026-05-04T12:00:00Z"));
    Asked {
        key_arn: None,
        since,
        until,
        now: until,
        watch_days: 30,
        accept_observed: false,
        options: Options::default(),
    }
}

fn lane() -> Lane {
    ("111122223333".to_owned(), "eu-west-1".to_owned())
}

/// The look-back, all of it proven but for these hours, counted from its begin.
fn hours(but: &[(i64, Option<Worth>)]) -> BTreeMap<DateTime<Utc>, LaneHour> {
    let (account_id, region) = lane();
    let mut hours = BTreeMap::new();
    for number in 0..84 {
        let hour = time("2026-05-01T00:00:00Z") + TimeDelta::hours(number);
        let changed = but.iter().find(|(at, _)| *at == number).map(|(_, worth)| *worth);
        let Some(state) = changed.unwrap_or(Some(Worth::Proven)) else { continue };
        let (account_id, region) = (account_id.clone(), region.clone());
        hours.insert(hour, LaneHour { account_id, region, hour, state, is_doubtful: false, reason: None });
    }
    hours
}

/// Worth and length of each gap.
fn gaps(but: &[(i64, Option<Worth>)]) -> Vec<(Worth, i64)> {
    let cover = cover(&lane(), Some(&hours(but)), &asked(), &|_| false);
    cover.gaps.iter().map(|gap| (gap.worth, gap.hours())).collect()
}

#[test]
fn an_hour_without_a_row_is_a_gap_and_so_is_one_that_is_only_observed() {
    assert_eq!(gaps(&[]), []);
    assert_eq!(gaps(&[(5, None)]), [(Worth::Unknown, 1)]);
    assert_eq!(gaps(&[(5, None), (6, None), (9, Some(Worth::Observed))]), [(Worth::Unknown, 2), (Worth::Observed, 1)]);
    let nothing = cover(&lane(), None, &asked(), &|_| false);
    assert_eq!((nothing.known_until, nothing.gaps[0].hours(), nothing.hours.unknown), (None, 84 - 6, 84));
}

#[test]
fn the_first_hour_counts_although_the_look_back_begins_within_it() {
    assert_eq!(gaps(&[(0, None)]), [(Worth::Unknown, 1)]);
}

/// The latest logs are on their way for a while; a trail that was blind then stays blind.
#[test]
fn logs_may_end_six_hours_before_and_not_earlier() {
    let last = |count: i64, worth: Option<Worth>| -> Vec<(i64, Option<Worth>)> {
        (84 - count..84).map(|hour| (hour, worth)).collect()
    };
    assert_eq!(gaps(&last(6, None)), []);
    assert_eq!(gaps(&last(7, None)), [(Worth::Unknown, 1)]);
    assert_eq!(gaps(&last(3, Some(Worth::Observed))), []);
    assert_eq!(gaps(&last(3, Some(Worth::Blind))), [(Worth::Blind, 3)]);
}

#[test]
fn an_observed_hour_counts_where_something_else_vouches_and_nothing_speaks_against_it() {
    let mut hours = hours(&[(5, Some(Worth::Observed)), (6, Some(Worth::Observed))]);
    let doubtful = hours.get_mut(&time("2026-05-01T06:00:00Z")).unwrap();
    doubtful.is_doubtful = true;
    let cover = cover(&lane(), Some(&hours), &asked(), &|_| true);
    assert_eq!(
        cover.gaps.iter().map(|gap| (gap.from, gap.is_doubtful)).collect::<Vec<_>>(),
        [(time("2026-05-01T06:00:00Z"), true)]
    );
}

#[test]
fn a_week_is_as_good_as_the_worst_hour_of_each_of_its_days() {
    let known = BTreeMap::from([(lane(), hours(&[(30, None), (31, Some(Worth::Blind)), (60, Some(Worth::Observed))]))]);
    let day = UseDay { day: "2026-05-02".parse().unwrap(), calls: 7, failing: 2, ..UseDay::default() };
    let weeks = weeks(&asked(), &[&lane()], &known, &[day]);
    assert_eq!(weeks.len(), 1);
    assert_eq!(weeks[0].days, [Worth::Proven, Worth::Blind, Worth::Observed, Worth::Proven]);
    assert_eq!((weeks[0].calls, weeks[0].failing, weeks[0].hours.unknown), (7, 2, 1));
}

#[test]
fn the_later_of_inventory_and_log_says_where_a_key_stands() {
    let key = |state: &str, taken: &str, change: Option<(&str, &str)>| Member {
        state: Some(state.to_owned()),
        taken_at: Some(time(taken)),
        last_change: change.map(|(name, _)| name.to_owned()),
        changed_at: change.map(|(_, at)| time(at)),
        ..Member::default()
    };
    let (early, late) = ("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z");
    assert_eq!(phase(&key("Enabled", early, None)), Phase::Enabled);
    assert_eq!(phase(&key("Enabled", early, Some(("DisableKey", late)))), Phase::Disabled);
    assert_eq!(phase(&key("Disabled", late, Some(("EnableKey", early)))), Phase::Disabled);
    assert_eq!(phase(&key("PendingDeletion", early, Some(("CancelKeyDeletion", late)))), Phase::Disabled);
    assert_eq!(phase(&key("Disabled", early, Some(("ScheduleKeyDeletion", late)))), Phase::PendingDeletion);
    assert_eq!(phase(&key("PendingDeletion", early, Some(("DeleteKey", late)))), Phase::Deleted);
    assert_eq!(
        phase(&key("Enabled", late, Some(("DeleteKey", early)))),
        Phase::Enabled,
        "a replica that was made anew"
    );
    assert_eq!(phase(&key("PendingReplicaDeletion", early, None)), Phase::PendingDeletion);
    assert_eq!(phase(&key("PendingImport", early, None)), Phase::Unavailable);
    assert_eq!(phase(&Member::default()), Phase::Unknown);
    let logged =
        Member { last_change: Some("DisableKey".to_owned()), changed_at: Some(time(early)), ..Member::default() };
    assert_eq!(phase(&logged), Phase::Disabled);
}

/// What is known of a key and of a sibling, and of the hours.
#[derive(Debug, Clone)]
struct Known {
    set: Set,
    hours: BTreeMap<Lane, BTreeMap<DateTime<Utc>, LaneHour>>,
    accept_observed: bool,
}

impl Known {
    fn answer(&self) -> Answer {
        let asked = Asked { accept_observed: self.accept_observed, ..asked() };
        let facts = Facts { hours: self.hours.clone(), ..Facts::default() };
        judge(&self.set.members[0].key_arn, &self.set, &facts, &asked).verdict
    }
}

/// An instant of the look-back, or of the days before it.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (-200..84_i64).prop_map(|hour| time("2026-05-01T00:31:00Z") + TimeDelta::hours(hour))
}

/// A key of which an inventory knows everything, or almost.
fn member(region: &'static str) -> impl Strategy<Value = Member> {
    let rare = || prop::bool::weighted(0.1);
    (rare(), rare(), rare(), rare(), prop::option::weighted(0.3, (instant(), any::<bool>())), rare(), 0..30_i64)
        .prop_map(move |(is_missing, is_unread, is_granted, is_named, last, is_disabled, age)| {
            let key_arn = format!("arn:aws:kms:{region}:111122223333:key/mrk-00000000000000000000000000000001");
            if is_missing {
                return Member::of(&key_arn);
            }
            Member {
                taken_at: Some(time("2026-05-04T12:00:00Z") - TimeDelta::hours(age)),
                state: Some(if is_disabled { "Disabled" } else { "Enabled" }.to_owned()),
                key_manager: Some("CUSTOMER".to_owned()),
                creation_date: Some(time("2026-04-30T00:00:00Z")),
                tracking_start: Some(time("2026-04-23T00:00:00Z")),
                last_usage_time: last.map(|(at, _)| at),
                last_usage_event_id: last.map(|_| "e".to_owned()),
                has_last_usage_event: last.is_some_and(|(_, has)| has),
                unknown_fields: is_unread.then(|| r#"{"grants":"kms:ListGrants: AccessDenied"}"#.to_owned()),
                grants: (!is_unread)
                    .then(|| if is_granted { r#"[{"GrantId":"g","Operations":[]}]"# } else { "[]" }.to_owned()),
                inventory_aliases: Some("[]".to_owned()),
                trails_listed_at: Some(time("2026-05-04T12:00:00Z") - TimeDelta::hours(age)),
                multi_region: Some(true),
                multi_region_type: Some("PRIMARY".to_owned()),
                primary_key_arn: Some(key_arn.clone()),
                replica_key_arns: Some("[]".to_owned()),
                trail: is_named.then(|| "arn:aws:cloudtrail:eu-west-1:111122223333:trail/t".to_owned()),
                ..Member::of(&key_arn)
            }
        })
}

fn dependent() -> impl Strategy<Value = Dependent> {
    (any::<bool>(), prop::bool::weighted(0.2), 0..3_i64, instant()).prop_map(|(is_home, is_ok, denied, at)| Dependent {
        key_arn: format!(
            "arn:aws:kms:{}:111122223333:key/mrk-00000000000000000000000000000001",
            if is_home { "eu-west-1" } else { "us-east-1" }
        ),
        calls: i64::from(is_ok),
        last_used: is_ok.then_some(at),
        denied,
        ..Dependent::default()
    })
}

/// Mostly proven, so that there is something to be taken away.
fn worth() -> impl Strategy<Value = Option<Worth>> {
    prop_oneof![
        300 => Just(Some(Worth::Proven)),
        2 => Just(Some(Worth::Observed)),
        1 => Just(Some(Worth::Blind)),
        1 => Just(None),
    ]
}

fn known() -> impl Strategy<Value = Known> {
    let rows = || prop::collection::vec((worth(), prop::bool::weighted(0.01)), 84);
    let members = (member("eu-west-1"), prop::option::weighted(0.4, member("us-east-1")));
    (members, prop::collection::vec(dependent(), 0..2), prop::bool::weighted(0.1), rows(), rows(), any::<bool>())
        .prop_map(|((home, sibling), dependents, is_granted, here, there, accept_observed)| {
            let grants = is_granted.then(|| Granted {
                key_arn: home.key_arn.clone(),
                grant_id: Some("late".to_owned()),
                created_at: Some(time("2026-05-04T11:59:00Z")),
                ..Granted::default()
            });
            let lane = |region: &str, rows: Vec<(Option<Worth>, bool)>| {
                let account_id = "111122223333".to_owned();
                let hours = rows.into_iter().enumerate().filter_map(|(number, (state, is_doubtful))| {
                    let hour = time("2026-05-01T00:00:00Z") + TimeDelta::hours(i64::try_from(number).ok()?);
                    let (account_id, region, state) = (account_id.clone(), region.to_owned(), state?);
                    Some((hour, LaneHour { account_id, region, hour, state, is_doubtful, reason: None }))
                });
                ((account_id.clone(), region.to_owned()), hours.collect())
            };
            let members: Vec<Member> = [Some(home), sibling].into_iter().flatten().collect();
            // Whatever used a key makes the key known.
            let is_known = |arn: &str| members.iter().any(|member| member.key_arn == arn);
            let dependents = dependents.into_iter().filter(|dependent| is_known(&dependent.key_arn)).collect();
            let set = Set { members, dependents, grants: grants.into_iter().collect(), ..Set::default() };
            Known { set, hours: [lane("eu-west-1", here), lane("us-east-1", there)].into(), accept_observed }
        })
}

fn is_told_elsewhere(row: &LaneHour) -> bool {
    row.state == Worth::Blind || row.is_doubtful
}

/// A piece of evidence that is not there.
fn taken(known: &Known, what: u8, which: Index) -> Known {
    let mut less = known.clone();
    let lanes: Vec<Lane> =
        less.set.members.iter().map(|member| (member.account_id.clone(), member.region.clone())).collect();
    let lane = which.get(&lanes).clone();
    let hours = less.hours.get_mut(&lane).unwrap();
    let hour = (!hours.is_empty()).then(|| *which.get(&hours.keys().copied().collect::<Vec<_>>()));
    let member = which.index(less.set.members.len());
    let member = &mut less.set.members[member];
    match what {
        // A log that a digest names, and what was in it.
        0 | 1 => {
            if let Some(row) = hour.and_then(|hour| hours.get_mut(&hour)) {
                (row.state, row.is_doubtful) = (Worth::Observed, true);
                less.set.dependents.clear();
                less.set.grants.clear();
            }
        }
        // A digest.
        2 => {
            if let Some(row) = hour.and_then(|hour| hours.get_mut(&hour)).filter(|row| row.state == Worth::Proven) {
                (row.state, row.is_doubtful) = (Worth::Observed, true);
            }
        }
        // An hour, a day, or a Region; what shows that a trail was blind, or that a log is lost, is told elsewhere and stays. In
        // the last hours, which need not be covered, nothing else would tell of it.
        3 => hours.retain(|at, row| is_told_elsewhere(row) || Some(*at) != hour),
        4 => hours
            .retain(|at, row| is_told_elsewhere(row) || hour.is_none_or(|hour| at.date_naive() != hour.date_naive())),
        5 => hours.retain(|_, row| is_told_elsewhere(row)),
        // The inventory, or what it was allowed to read.
        6 => *member = Member::of(&member.key_arn),
        7 => {
            member.unknown_fields = Some(r#"{"last_usage":"kms:GetKeyLastUsage: AccessDenied"}"#.to_owned());
            (member.last_usage_time, member.tracking_start) = (None, None);
        }
        _ => {
            member.unknown_fields = Some(r#"{"grants":"kms:ListGrants: AccessDenied"}"#.to_owned());
            member.grants = None;
        }
    }
    less
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_taken_away_never_speaks_for_deletion(known in known(), what in 0..9_u8, which in any::<Index>()) {
        let (before, after) = (known.answer(), taken(&known, what, which).answer());
        prop_assert!(before == Answer::NoUseFound || after != Answer::NoUseFound, "{before:?} becomes {after:?}");
    }

    #[test]
    fn a_use_that_is_added_is_always_in_use(known in known(), more in dependent()) {
        let mut used = known;
        used.set.dependents.push(Dependent { calls: 1, ..more });
        prop_assert_eq!(used.answer(), Answer::InUse);
    }
}

/// The properties say little if every verdict is alike.
#[test]
fn what_is_generated_is_of_every_kind() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut answers: BTreeMap<Answer, u32> = BTreeMap::new();
    for _ in 0..500 {
        *answers.entry(known().new_tree(&mut runner).unwrap().current().answer()).or_default() += 1;
    }
    assert!(answers.len() == 3 && answers.values().all(|count| *count > 40), "{answers:?}");
}

/// Names come from logs, and commands are made to be pasted.
#[test]
fn an_arn_that_a_shell_would_run_has_no_command() {
    let facts = Facts::default();
    let commands = |arn: &str| -> Vec<String> {
        let asked = Asked { key_arn: Some(arn.to_owned()), ..asked() };
        let steps = judge(arn, &Set { members: vec![Member::of(arn)], ..Set::default() }, &facts, &asked).next_steps;
        steps.into_iter().filter_map(|step| step.command).collect()
    };
    assert!(!commands("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab").is_empty());
    for arn in [
        "arn:aws:kms:eu-west-1:111122223333:key/$(touch x);y",
        "arn:aws:kms:eu-west-1:111122223333:key/a --pending-window-in-days 7",
        "arn:aws:kms:eu-west-1;reboot:111122223333:key/a",
    ] {
        assert_eq!(commands(arn), [""; 0], "{arn}");
    }
}
