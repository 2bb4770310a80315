//! Filters reach the scan of `events`, whatever view they are written on: that is what lets row groups be skipped.

use std::sync::Arc;

use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Expr, LogicalPlan, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;

use super::lake::{now, views};
use crate::cloudtrail::columns::lake_schema;
use crate::query::Catalog;

/// A table that takes every filter, as one over Parquet does, so that the plan shows what reached it.
#[derive(Debug)]
struct Pruned(EmptyTable);

#[async_trait::async_trait]
impl TableProvider for Pruned {
    fn schema(&self) -> arrow::datatypes::SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.scan(state, projection, filters, limit).await
    }
}

async fn session() -> SessionContext {
    let session = SessionContext::new();
    session.register_table("events", Arc::new(Pruned(EmptyTable::new(lake_schema())))).unwrap();
    views(&session).await;
    session
}

/// For each scan of `events`, the filters that reached it.
fn scans(plan: &LogicalPlan) -> Vec<Vec<String>> {
    let mut scans = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            scans.push(scan.filters.iter().map(ToString::to_string).collect());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    scans
}

#[tokio::test]
async fn filters_on_key_time_and_operation_reach_every_scan_through_the_views() {
    let session = session().await;
    // What a repeat repeats is looked at by ids, which are known only when the query runs; a copy without a key is of the key that
    // its twin names, so that the twin's side is not looked at by key alone.
    for (view, sides, others) in [("calls", 4, 3), ("usage", 7, 7)] {
        for (filter, reaches) in [
            ("key_arn = 'k'", "key_arn = Utf8(\"k\")"),
            ("key_id = 'k'", "Utf8(\"k\")"),
            ("event_time >= timestamp '2026-01-01'", "events.event_time >= TimestampMicrosecond(1767225600000000"),
            ("event_date = date '2026-01-01'", "events.event_date = "),
            ("event_name = 'Sign'", "events.event_name = "),
        ] {
            let plan = session.sql(&format!("SELECT principal FROM {view} WHERE {filter}")).await.unwrap();
            let scans = scans(&session.state().optimize(plan.logical_plan()).unwrap());
            let reached = |filters: &&Vec<String>| filters.iter().any(|filter| filter.contains(reaches));
            assert!(scans.iter().filter(reached).count() >= sides, "{view} {filter}: {scans:?}");
            assert_eq!(scans.len(), sides + others, "{view} {filter}: {scans:?}");
        }
    }
}

#[tokio::test]
async fn parameters_that_are_set_reach_the_scan_bare_and_those_that_are_not_vanish() {
    let session = session().await;
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
    // The others are of events that are looked for by ids: what patches and repeats are of, and copies that name no key.
    chosen.retain(|filters| filters.iter().any(|filter| filter.contains("Utf8(\"k\")")));
    chosen.dedup();
    insta::assert_debug_snapshot!(chosen, @r#"
    [
        [
            "events.event_date >= Date32(\"2026-01-05\")",
            "events.event_time >= TimestampMicrosecond(1767571200000000, Some(\"UTC\"))",
            "events.event_time < TimestampMicrosecond(7258118400000000, Some(\"UTC\"))",
            "events.key_arn = Utf8(\"k\")",
        ],
        [
            "events.dest_key_arn = Utf8(\"k\")",
            "events.event_date >= Date32(\"2026-01-05\")",
            "events.event_time >= TimestampMicrosecond(1767571200000000, Some(\"UTC\"))",
            "events.event_time < TimestampMicrosecond(7258118400000000, Some(\"UTC\"))",
        ],
    ]
    "#);
    assert!(scans.iter().flatten().all(|filter| !filter.contains("NULL") || filter.contains("IS N")), "{scans:?}");
}

#[tokio::test]
async fn columns_that_nobody_asks_for_are_not_read() {
    let session = session().await;
    let plan = session.sql("SELECT count(*) FROM usage").await.unwrap();
    let text = session.state().optimize(plan.logical_plan()).unwrap().display_indent().to_string();
    for column in ["user_agent", "encryption_context", "request_parameters", "asset"] {
        assert!(!text.contains(column), "{column}: {text}");
    }
}
