//! Which slices there are, without asking anybody.

use super::*;

const CONTEXT: &[(&str, &[&str])] =
    &[("sts.amazonaws.com", &["AssumeRole"]), ("s3.amazonaws.com", &["CreateBucket", "PutBucketEncryption"])];

fn source(regions: &[&str]) -> LookupSource {
    let version = aws_config::BehaviorVersion::latest();
    let config = aws_sdk_cloudtrail::Config::builder().behavior_version(version).build();
    let place = |region: &&str| {
        let client = Client::from_conf(config.clone());
        Arc::new(RegionHistory::new(region, client, Arc::new(SystemClock::default())))
    };
    LookupSource {
        account_id: "111122223333".to_owned(),
        regions: regions.iter().map(place).collect(),
        attributes: attributes("kms.amazonaws.com", CONTEXT),
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-01-31T12:00:00Z")
}

fn prune(since: &str, until: &str) -> Prune {
    Prune { since: Some(at(since)), until: Some(at(until)), ..Prune::default() }
}

/// A slice's address behind the account and the Region.
fn within(uri: &str) -> &str {
    uri.strip_prefix("lookup://111122223333/eu-west-1/").unwrap()
}

#[test]
fn a_service_is_asked_for_by_the_day_and_a_rare_operation_by_longer_times() {
    let source = source(&["eu-west-1"]);
    let slices = source.slices(now(), &prune("2026-01-30T00:00:00Z", "2026-02-10T00:00:00Z"));
    let uris: Vec<&str> = slices.iter().map(|slice| within(&slice.uri)).collect();
    assert_eq!(
        uris,
        [
            "EventSource=kms.amazonaws.com/2026-01-31",
            "EventSource=kms.amazonaws.com/2026-01-30",
            "EventSource=sts.amazonaws.com/2026-01-31",
            "EventSource=sts.amazonaws.com/2026-01-30",
            "EventName=CreateBucket/2026-01-27..2026-02-11",
            "EventName=PutBucketEncryption/2026-01-27..2026-02-11",
        ]
    );
    let object = slices[1].object();
    assert_eq!((&object.uri, object.name.kind.name()), (&slices[1].uri, "LookupEvents"));
    assert!(object.name.kind.holds_events());
    assert_eq!((slices[1].from, slices[1].until), (at("2026-01-30T00:00:00Z"), at("2026-01-31T00:00:00Z")));
    let (rare, end) = (&slices[4], now() + Duration::seconds(1));
    assert_eq!((rare.from, rare.until), (at("2026-01-27T00:00:00Z"), end), "what is to come is not asked for");
}

#[test]
fn slices_cover_all_of_history_without_gap_or_overlap() {
    let slices = source(&["eu-west-1"]).slices(now(), &Prune::default());
    let oldest = now() - Duration::days(HISTORY_DAYS);
    for attribute in attributes("kms.amazonaws.com", CONTEXT) {
        let mut edge = None;
        for slice in slices.iter().filter(|slice| slice.attribute == attribute) {
            assert!(edge.is_none_or(|edge| edge == slice.until), "{}", slice.uri);
            edge = Some(slice.from);
        }
        assert_eq!(edge, Some(oldest), "and not beyond what there is");
    }
    assert_eq!(slices.iter().filter(|slice| slice.attribute.days() == 1).count(), 2 * 91);
}

#[test]
fn a_slice_is_settled_two_days_after_its_end_and_asked_again_before() {
    let source = source(&["eu-west-1"]);
    let tags = |now: DateTime<Utc>| -> std::collections::BTreeMap<String, String> {
        let slices = source.slices(now, &prune("2026-01-27T00:00:00Z", "2026-02-01T00:00:00Z"));
        slices.into_iter().map(|slice| (slice.uri, slice.version_tag)).collect()
    };
    let (one, other) = (tags(now()), tags(now() + Duration::milliseconds(1)));
    let same: Vec<&str> =
        one.iter().filter(|(uri, tag)| other.get(*uri) == Some(tag)).map(|(uri, _)| within(uri)).collect();
    assert_eq!(
        same,
        [
            "EventSource=kms.amazonaws.com/2026-01-27",
            "EventSource=kms.amazonaws.com/2026-01-28",
            "EventSource=sts.amazonaws.com/2026-01-27",
            "EventSource=sts.amazonaws.com/2026-01-28",
        ]
    );
    let later = tags(now() + Duration::days(60));
    assert!(later.values().all(|tag| tag == SETTLED) && later.len() == one.len());
}

#[test]
fn a_run_may_ask_for_some_regions_and_accounts() {
    let source = source(&["eu-west-1", "us-east-1"]);
    let of = |accounts: &[&str], regions: &[&str]| {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        source.slices(now(), &Prune { accounts: owned(accounts), regions: owned(regions), ..Prune::default() })
    };
    let all = of(&[], &[]).len();
    assert_eq!(of(&["111122223333"], &["us-east-1"]).len() * 2, all);
    assert_eq!((of(&["999999999999"], &[]).len(), of(&[], &["ap-south-1"]).len()), (0, 0));
    let past = source.slices(now(), &prune("2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"));
    assert_eq!(past, [], "beyond what history holds there is nothing to ask for");
}

#[test]
fn an_address_names_regions() {
    assert_eq!(regions("lookup://eu-west-1").unwrap(), ["eu-west-1"]);
    assert_eq!(regions("lookup://eu-west-1, us-gov-west-1/").unwrap(), ["eu-west-1", "us-gov-west-1"]);
    for uri in
        ["lookup://", "lookup://,", "lookup://eu-west-1,", "lookup://EU", "lookup://a b", "s3://bucket", "lookup"]
    {
        assert!(matches!(regions(uri), Err(LookupError::Address(_))), "{uri}");
    }
}

/// A clock that stands still and notes for how long it was asked to wait.
#[derive(Debug, Default)]
struct Stopped(std::sync::Mutex<Vec<std::time::Duration>>);

#[async_trait::async_trait]
impl Clock for Stopped {
    fn now(&self) -> std::time::Duration {
        std::time::Duration::from_secs(7)
    }

    async fn sleep(&self, time: std::time::Duration) {
        self.0.lock().unwrap().push(time);
    }
}

#[tokio::test]
async fn those_who_come_at_once_get_turns_half_a_second_apart() {
    let clock = Arc::new(Stopped::default());
    let pace = Pace::new(Arc::clone(&clock) as Arc<dyn Clock>);
    futures::future::join_all((0..4).map(|_| pace.turn())).await;
    assert_eq!(*clock.0.lock().unwrap(), [500, 1000, 1500].map(std::time::Duration::from_millis));
}
