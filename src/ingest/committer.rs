//! The committer: appends each parcel's rows, then writes the ledger, and keeps the account.

use chrono::{DateTime, TimeDelta, Utc};
use hashbrown::HashMap;
use tokio::runtime::Handle;

use super::passed::{Counted, folder};
use super::worker::{Finished, Parcel};
use super::{Rejected, Report};
use crate::lake::LakeError;
use crate::lake::events::EventsWriter;
use crate::lake::ledger::{ARCHIVED, Known, Ledger, State};

/// Before this instant there was no CloudTrail, as the view `horizon` has it.
const FIRST: DateTime<Utc> = match DateTime::from_timestamp(1_356_998_400, 0) {
    Some(first) => first,
    None => DateTime::UNIX_EPOCH,
};

/// How much later than this machine's clock an event or a delivery may be, likewise.
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);

pub(super) struct Committer {
    runtime: Handle,
    events: EventsWriter,
    ledger: Ledger,
    report: Report,
    /// Duplicates found so far in objects that are not finished: a large object comes in several parcels.
    duplicates: HashMap<String, u64>,
    learned: Known,
}

impl Committer {
    pub fn new(runtime: Handle, events: EventsWriter, ledger: Ledger) -> Self {
        Self {
            runtime,
            events,
            ledger,
            report: Report::default(),
            duplicates: HashMap::new(),
            learned: Known::default(),
        }
    }

    /// Commits a parcel: events first, so that a ledger row never speaks of events that are not there.
    pub fn take(&mut self, parcel: Parcel) -> Result<(), LakeError> {
        if let Some(batch) = &parcel.batch {
            let appended = self.runtime.block_on(self.events.append(batch))?;
            for (object, count) in appended.duplicates {
                *self.duplicates.entry(object).or_default() += count;
            }
        }
        let Counted { objects: counted, passed_over, left_out } = parcel.counted;
        self.report.objects.listed += counted.listed;
        self.report.objects.unchanged += counted.unchanged;
        self.report.objects.unchanged_damaged += counted.unchanged_damaged;
        self.report.objects.skipped += counted.skipped;
        self.report.objects.archived += counted.archived;
        self.report.passed_over.add(&passed_over);
        self.report.left_out.extend(left_out);
        let now = Utc::now();
        let (mut rows, mut rejects) = (Vec::with_capacity(parcel.finished.len()), Vec::new());
        for Finished { mut row, rejects: rejected, filtered } in parcel.finished {
            row.records_duplicate = self.duplicates.remove(&row.uri).unwrap_or_default();
            assert!(row.records_duplicate <= row.records_kept, "no more rows of an object are dropped than it had");
            row.records_kept -= row.records_duplicate;
            self.count(&row, now);
            self.report.records.filtered += filtered;
            if filtered > 0 {
                self.report.left_out.insert(folder(&row.uri).to_owned());
            }
            rows.push(row);
            rejects.extend(rejected);
        }
        let now = now.timestamp_micros();
        self.runtime.block_on(self.ledger.record(&rows, &rejects, now))?;
        for row in &rows {
            self.learned.learn_row(row, now);
        }
        Ok(())
    }

    fn count(&mut self, row: &crate::lake::ledger::ObjectRow, now: DateTime<Utc>) {
        let Report { objects, records, bytes, rejects, newest_delivery, untimely, .. } = &mut self.report;
        let can_be = |at: &i64| *at < (now + AHEAD_MAX).timestamp_micros();
        let delivered = row.delivered_at.filter(can_be).and_then(DateTime::from_timestamp_micros);
        *newest_delivery = (*newest_delivery).max(delivered);
        let is_timely = row.first_event_time.is_none_or(|at| at >= FIRST.timestamp_micros())
            && row.last_event_time.as_ref().is_none_or(can_be);
        *untimely += u64::from(!is_timely);
        records.read += row.records_read;
        records.kept += row.records_kept;
        records.other += row.records_other;
        records.duplicate += row.records_duplicate;
        records.rejected += row.records_rejected;
        bytes.compressed += row.bytes_compressed;
        bytes.decompressed += row.bytes_decompressed;
        let is_archived = row.reason.as_ref().is_some_and(|reason| reason.starts_with(ARCHIVED));
        match row.state {
            Some(State::Partial) => objects.partial += 1,
            Some(State::Rejected) if is_archived => objects.archived += 1,
            Some(State::Rejected) => objects.rejected += 1,
            Some(State::Ingested | State::Filtered) | None => objects.ingested += 1,
        }
        if let (Some(State::Partial | State::Rejected), Some(reason)) = (row.state, &row.reason) {
            rejects.push(Rejected { object: row.uri.clone(), reason: reason.clone() });
        }
    }

    /// Merges small files of what was written, if there are many.
    pub fn upkeep(&mut self) {
        self.runtime.block_on(async {
            self.events.upkeep().await;
            self.ledger.upkeep().await;
        });
    }

    /// The account of everything taken since the last one, and what the ledger has learned.
    pub fn report(&mut self) -> (Report, Known) {
        let mut report = std::mem::take(&mut self.report);
        report.lake_version = self.events.version();
        report.rejects.sort_by(|a, b| a.object.cmp(&b.object));
        (report, std::mem::take(&mut self.learned))
    }
}
