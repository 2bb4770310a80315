//! What each step of reading logs costs, as multiples of inflating the same objects and throwing the text away.
//!
//! ```text
//! cargo bench --bench pipeline                                 400,000 events, 40 % KMS
//! KEYTRAIL_BENCH_EVENTS=4000000 cargo bench --bench pipeline   ten times the input: memory must not grow
//! ```
//!
//! Every step is a process of its own: inflate (flate2 with zlib-rs, streaming), + split and filter, + decode, and
//! `keytrail ingest` into a fresh lake.

mod support;

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::Command;

use arrow::error::ArrowError;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use keytrail::cloudtrail::inflate::Inflater;
use keytrail::cloudtrail::object::{Input, ObjectDecoder};
use keytrail::cloudtrail::split::{Splitter, Step};
use keytrail::source::{Listed, LocalSource, ObjectRef, Place};
use support::{Used, asked_stage, bytes_below, least, logs, run, scratch, setting, stage};

fn main() {
    if let Some((name, arguments)) = asked_stage() {
        let mut step = steps(&name);
        each_object(&arguments[0], &mut |bytes| step(bytes));
        return;
    }
    let events = setting("KEYTRAIL_BENCH_EVENTS", 400_000);
    let runs = usize::try_from(setting("KEYTRAIL_BENCH_RUNS", 3)).unwrap_or(3);
    let logs = logs(events);
    let lake = scratch().join("lake");
    let ingest = |jobs: &str| {
        least(runs, || {
            let _ = fs::remove_dir_all(&lake);
            run(keytrail(&lake).arg("ingest").arg("--jobs").arg(jobs).arg(&logs))
        })
    };
    let inflate = least(runs, || run(&mut stage("inflate", &[&logs])));
    println!("{events} events, {} MB compressed", bytes_below(&logs) / 1_000_000);
    println!("step                          CPU × inflate   CPU s   peak MiB");
    let show = |name: &str, used: Used| {
        let ratio = used.cpu_seconds / inflate.cpu_seconds;
        println!("{name:<30}{ratio:>9.2}{:>12.2}{:>11}", used.cpu_seconds, used.memory_mib);
    };
    show("inflate (flate2, streaming)", inflate);
    for name in ["whole", "split", "decode"] {
        show(label(name), least(runs, || run(&mut stage(name, &[&logs]))));
    }
    show("whole ingest, one job", ingest("1"));
    show("whole ingest, two jobs", ingest("2"));
    let again = least(runs, || run(keytrail(&lake).arg("ingest").arg(&logs)));
    show("the same again", again);
    let gzip = kms_gzip_bytes(&logs);
    let ratio = |lake: u64| {
        let hundredths = lake * 100 / gzip;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    println!("lake: {} × the gzip size of its KMS records ({} MB)", ratio(bytes_below(&lake)), gzip / 1_000_000);
}

fn keytrail(lake: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keytrail"));
    command.arg("--lake").arg(lake);
    command
}

fn label(name: &str) -> &'static str {
    match name {
        "whole" => "inflate (one call per object)",
        "split" => "  + split and filter",
        _ => "  + decode to Arrow",
    }
}

/// Calls `visit` with the bytes of every object, in the order of ingest.
fn each_object(folder: &Path, visit: &mut dyn FnMut(&[u8])) {
    let mut bytes = Vec::new();
    let source = LocalSource::new(folder).expect("the logs are there");
    let walked = source.walk::<Infallible>(&mut |listed| {
        if let Listed::Object(ObjectRef { place: Place::File(path), .. }) = listed {
            bytes.clear();
            let file = File::open(&path).expect("the object can be opened");
            BufReader::new(file).read_to_end(&mut bytes).expect("the object can be read");
            visit(&bytes);
        }
        Ok(())
    });
    let Ok(()) = walked;
}

type StepOnObject = Box<dyn FnMut(&[u8])>;

/// The work of one step on one object.
fn steps(name: &str) -> StepOnObject {
    let mut chunk = vec![0; 64 * 1024];
    let mut inflater = Inflater::default();
    let mut decoder = ObjectDecoder::default();
    match name {
        "inflate" => Box::new(move |object| {
            let mut text = MultiGzDecoder::new(object);
            // Some objects are plain on purpose; there is nothing to inflate in them.
            while text.read(&mut chunk).is_ok_and(|read| read > 0) {}
        }),
        "whole" => Box::new(move |object| {
            std::hint::black_box(inflater.whole(object, u64::MAX));
        }),
        "split" => Box::new(move |object| {
            if let Some(text) = inflater.whole(object, u64::MAX) {
                std::hint::black_box(records(text, &mut |_| {}));
            }
        }),
        _ => Box::new(move |object| {
            let account = decoder.decode::<ArrowError>(Input::Whole(object), "o", u64::MAX, &mut |_| Ok(()));
            std::hint::black_box(account.expect("rows fit their columns"));
        }),
    }
}

/// Splits a text, and returns the number of records that are KMS's.
fn records(text: &[u8], kms: &mut dyn FnMut(&[u8])) -> u64 {
    let (mut splitter, mut at, mut count) = (Splitter::default(), 0, 0);
    loop {
        let (used, step) = splitter.next(&text[at..], true);
        at += used;
        match step {
            Step::Record(record)
                if record.source == keytrail::cloudtrail::split::Member::Plain(b"kms.amazonaws.com") =>
            {
                count += 1;
                kms(record.bytes);
            }
            Step::Record(_) | Step::Damaged { .. } => {}
            Step::More | Step::End => return count,
        }
    }
}

/// The size of all KMS records compressed as CloudTrail would, a member per object.
fn kms_gzip_bytes(folder: &Path) -> u64 {
    let mut total = 0;
    each_object(folder, &mut |object| {
        let mut text = Vec::new();
        let _ = MultiGzDecoder::new(object).read_to_end(&mut text);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        records(&text, &mut |record| gzip.write_all(record).expect("memory takes everything"));
        total += gzip.finish().expect("memory takes everything").len() as u64;
    });
    total
}
