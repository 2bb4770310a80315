//! Filters reach the scan of `events`, whatever view they are written on: that is what lets row groups be skipped.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::lake::{now, session};
use crate::query::Catalog;

/// Events of which each is a call by itself.
const EVENTS: &str = "id key  principal
                      e1 A/k1 role/app
                      e2 A/k2 role/app";

/// For each scan of `events`, or of the calls that several of them log, the filters that reached it. What follows from the events of a day
/// is small.
fn scans(plan: &LogicalPlan) -> Vec<Vec<String>> {
    let mut scans = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && !scan.table_name.table().starts_with("settled_")
        {
            let text = |filter: &Expr| filter.to_string().replace("events.", "").replace("Utf8View", "Utf8");
            scans.push(scan.filters.iter().map(text).collect());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    scans
}

#[tokio::test]
async fn filters_on_key_time_and_operation_reach_every_scan_through_the_views() {
    let session = session(EVENTS).await;
    // `usage` asks for the keys of both roles.
    for (view, all) in [("calls", 1), ("usage", 2)] {
        for (filter, reaches) in [
            ("key_arn = 'k'", "key_arn = Utf8(\"k\")"),
            ("key_id = 'k'", "Utf8(\"k\")"),
            ("event_time >= timestamp '2026-01-01'", "event_time >= TimestampMicrosecond(1767225600000000"),
            ("event_date = date '2026-01-01'", "event_date = "),
            ("event_name = 'Sign'", "event_name = "),
        ] {
            let plan = session.sql(&format!("SELECT principal FROM {view} WHERE {filter}")).await.unwrap();
            let scans = scans(&session.state().optimize(plan.logical_plan()).unwrap());
            let reached = |filters: &&Vec<String>| filters.iter().any(|filter| filter.contains(reaches));
            assert_eq!((scans.iter().filter(reached).count(), scans.len()), (all, all), "{view} {filter}: {scans:?}");
        }
    }
}

#[tokio::test]
async fn parameters_that_are_set_reach_the_scan_bare_and_those_that_are_not_vanish() {
    let session = session(EVENTS).await;
    let catalog = Catalog::shipped();
    let query = catalog.get("who").unwrap();
    let given = [("key_arn", "k"), ("since", "2026-01-05")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let plan = session.sql(&query.sql).await.unwrap().with_param_values(query.bind(&given, now()).unwrap()).unwrap();
    let scans = scans(&session.state().optimize(plan.logical_plan()).unwrap());
    let chosen = |filters: &[String]| -> Vec<String> {
        let given = |filter: &&String| {
            filter.contains("Utf8(\"k\")") || filter.contains("event_time") || filter.contains("event_date")
        };
        filters.iter().filter(given).cloned().collect()
    };
    let mut chosen: Vec<Vec<String>> = scans.iter().map(|filters| chosen(filters)).collect();
    chosen.dedup();
    insta::assert_debug_snapshot!(chosen, @r#"
    [
        [
            "event_time >= TimestampMicrosecond(1767571200000000, Some(\"UTC\"))",
            "key_arn = Utf8(\"k\")",
            "event_time >= TimestampMicrosecond(1356998400000000, Some(\"UTC\"))",
            "event_time < TimestampMicrosecond(7258118400000000, Some(\"UTC\"))",
        ],
        [
            "dest_key_arn = Utf8(\"k\")",
            "event_time >= TimestampMicrosecond(1767571200000000, Some(\"UTC\"))",
            "event_time >= TimestampMicrosecond(1356998400000000, Some(\"UTC\"))",
            "event_time < TimestampMicrosecond(7258118400000000, Some(\"UTC\"))",
        ],
    ]
    "#);
    assert!(scans.iter().flatten().all(|filter| !filter.contains("NULL") || filter.contains("IS N")), "{scans:?}");
}

#[tokio::test]
async fn what_is_asked_by_the_arns_of_siblings_reads_only_the_pages_that_hold_them() {
    let session = session(EVENTS).await;
    let catalog = Catalog::shipped();
    for name in ["deletion-assets", "deletion-grants", "deletion-history", "deletion-uses", "deletion-keys"] {
        let query = catalog.get(name).unwrap();
        let given = [("key_arns", "k l"), ("key_id", "id"), ("account", "A"), ("since", "2026-01-05")];
        let takes = |name: &str| query.params.iter().any(|param| param.name == name);
        let given = given.iter().filter(|(name, _)| takes(name));
        let given: Vec<_> = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let values = query.bind(&given, now()).unwrap();
        let plan = session.sql(&query.sql).await.unwrap().with_param_values(values).unwrap();
        let plan = session.state().optimize(plan.logical_plan()).unwrap();
        let is_narrow = |filters: &&Vec<String>| {
            // The one event that an inventory names is found by its id. A half hour that the window cuts is read from one day's files.
            let is_cut = |filter: &String| filter.contains(" OR event_time >= ");
            filters.iter().any(|filter| filter.contains("key_arn = Utf8(\"k\")") || is_cut(filter))
        };
        let of_events = |filters: &&Vec<String>| filters.iter().any(|filter| filter.contains("event_time"));
        let scans = scans(&plan);
        let wide: Vec<_> = scans.iter().filter(of_events).filter(|filters| !is_narrow(filters)).collect();
        let allowed = usize::from(name == "deletion-keys");
        assert_eq!(wide.len(), allowed, "{name}: {wide:#?}");
    }
}

#[tokio::test]
async fn columns_that_nobody_asks_for_are_not_read() {
    let session = session(EVENTS).await;
    let plan = session.sql("SELECT count(*) FROM usage").await.unwrap();
    let text = session.state().optimize(plan.logical_plan()).unwrap().display_indent().to_string();
    for column in ["user_agent", "encryption_context", "request_parameters", "asset"] {
        assert!(!text.contains(column), "{column}: {text}");
    }
}
