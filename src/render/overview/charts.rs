//! Charts in whole units of a drawing: where each bar and cell goes, what it says, and which class colours it. The page draws them.
//!
//! Every mark has a text with its value, and every chart a table beside it, so that nobody needs to see colours.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};

use super::{Hours, count, counted, short};
use crate::incident::DayCovered;
use crate::overview::{Activity, Overview};

/// Services that have a colour of their own; the rest share one.
const SERVICES: usize = 7;

/// Keys and principals that the heat map has room for.
const COLUMNS: usize = 16;
const ROWS: usize = 24;

/// Accounts and Regions of the calendar.
const LANES: usize = 40;

/// Steps of a shade; each is so many times the one before that the last is the most.
const SHADES: i64 = 5;

/// A mark: a bar or a cell.
pub(super) struct Mark {
    pub x: i64,
    pub y: i64,
    pub width: i64,
    pub height: i64,
    pub class: String,
    pub title: String,
}

/// A text in a chart.
pub(super) struct Label {
    pub x: i64,
    pub y: i64,
    pub text: String,
}

/// A chart, and the same as a table.
#[derive(Default)]
pub(super) struct Chart {
    pub width: i64,
    pub height: i64,
    pub marks: Vec<Mark>,
    /// Names of rows, to the left.
    pub rows: Vec<Label>,
    /// Names of columns; days below, keys above.
    pub columns: Vec<Label>,
    /// Lines across, at the values beside them.
    pub lines: Vec<Label>,
    /// What the colours mean: class, name, and how many.
    pub legend: Vec<(String, String, String)>,
    pub headings: Vec<String>,
    pub table: Vec<Vec<String>>,
    /// What the chart leaves out.
    pub more: Option<String>,
}

/// Decrypts by day, stacked by service.
pub(super) fn by_day(activity: &Activity, days: &[NaiveDate]) -> Chart {
    const LEFT: i64 = 56;
    const TOP: i64 = 12;
    const WIDTH: i64 = 904;
    const HEIGHT: i64 = 220;
    let mut totals: BTreeMap<Option<&str>, i64> = BTreeMap::new();
    for cell in &activity.days {
        *totals.entry(cell.via.as_deref()).or_default() += cell.decrypts;
    }
    let mut services: Vec<(Option<&str>, i64)> = totals.into_iter().collect();
    services.sort_by_key(|(via, total)| (std::cmp::Reverse(*total), *via));
    let place =
        |via: Option<&str>| services.iter().position(|(name, _)| *name == via).unwrap_or(SERVICES).min(SERVICES);
    let mut cells: BTreeMap<NaiveDate, Vec<i64>> = BTreeMap::new();
    for cell in &activity.days {
        cells.entry(cell.day).or_insert_with(|| vec![0; SERVICES + 1])[place(cell.via.as_deref())] += cell.decrypts;
    }
    let name = |at: usize| match services.get(at) {
        _ if at == SERVICES => "other services",
        Some((Some(via), _)) => via,
        _ => "direct calls",
    };
    let shown = services.len().min(SERVICES + 1);
    let most = cells.values().map(|cell| cell.iter().sum::<i64>()).max().unwrap_or_default().max(1);
    let top = rounded_up(most);
    let all = i64::try_from(days.len().max(1)).unwrap_or(1);
    let step = WIDTH / all;
    let mut chart = Chart { width: LEFT + WIDTH + 8, height: TOP + HEIGHT + 28, ..Chart::default() };
    for (day, at) in days.iter().zip(0..) {
        let x = LEFT + at * WIDTH / all;
        let mut below = 0;
        let values = cells.get(day).map(Vec::as_slice).unwrap_or_default();
        for (service, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
            // From the sums, so that what is rounded does not add up.
            let (low, high) = (below * HEIGHT / top, (below + value) * HEIGHT / top);
            chart.marks.push(Mark {
                x: x + 1,
                y: TOP + HEIGHT - high.max(low + 1),
                width: (step - 2).max(1),
                height: (high - low).max(1),
                class: format!("s{service}"),
                title: format!("{day}, {}: {}", name(service), counted(*value, "decrypt", "decrypts")),
            });
            below += value;
        }
        if is_labelled(*day, at, days.len()) {
            chart.columns.push(Label { x: x + step / 2, y: TOP + HEIGHT + 18, text: day.format("%-d %b").to_string() });
        }
    }
    for part in 0..=4 {
        let y = TOP + HEIGHT - HEIGHT * part / 4;
        chart.lines.push(Label { x: LEFT, y, text: count(top * part / 4) });
    }
    let sum = |at: usize| cells.values().map(|cell| cell[at]).sum::<i64>();
    chart.legend = (0..shown).map(|at| (format!("s{at}"), name(at).to_owned(), count(sum(at)))).collect();
    chart.headings = std::iter::once("day".to_owned()).chain((0..shown).map(|at| name(at).to_owned())).collect();
    chart.table = cells
        .iter()
        .map(|(day, cell)| std::iter::once(day.to_string()).chain((0..shown).map(|at| count(cell[at]))).collect())
        .collect();
    chart
}

/// The least of 4, 8, 20, 40, 80, 200, … that is not less.
fn rounded_up(most: i64) -> i64 {
    let mut unit: i64 = 1;
    loop {
        for times in [4, 8, 20] {
            if unit.saturating_mul(times) >= most {
                return unit.saturating_mul(times);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// Whether a day has its name below: the first of all, then Mondays, or each first of a month where there are many.
fn is_labelled(day: NaiveDate, at: i64, of: usize) -> bool {
    match of {
        0..=10 => true,
        11..=60 => day.weekday() == chrono::Weekday::Mon || (at == 0 && day.weekday() != chrono::Weekday::Sun),
        _ => day.day() == 1,
    }
}

/// How dark: the more, the darker, in steps of the most's own magnitude.
fn shade(value: i64, most: i64) -> i64 {
    if value <= 0 {
        return 0;
    }
    let bits = |number: i64| i64::from(64 - number.leading_zeros());
    let all = bits(most.max(value));
    ((bits(value) * SHADES + all - 1) / all).clamp(1, SHADES)
}

/// Who decrypts with what: principals by keys.
pub(super) fn heat(activity: &Activity) -> Chart {
    const LEFT: i64 = 280;
    const TOP: i64 = 130;
    const CELL: i64 = 38;
    let pairs = &activity.pairs.rows;
    let mut by_principal: BTreeMap<Option<&str>, i64> = BTreeMap::new();
    for pair in pairs {
        *by_principal.entry(pair.principal.as_deref()).or_default() += pair.counts.decrypts;
    }
    let mut principals: Vec<(Option<&str>, i64)> = by_principal.into_iter().collect();
    principals.sort_by_key(|(name, total)| (std::cmp::Reverse(*total), *name));
    principals.truncate(ROWS);
    let keys: Vec<_> = activity.keys.rows.iter().filter(|key| key.counts.decrypts > 0).take(COLUMNS).collect();
    let value: BTreeMap<(&str, Option<&str>), i64> =
        pairs.iter().map(|pair| ((pair.key_arn.as_str(), pair.principal.as_deref()), pair.counts.decrypts)).collect();
    let most = value.values().copied().max().unwrap_or_default();
    let size = |len: usize| i64::try_from(len).unwrap_or_default() * CELL;
    let mut chart =
        Chart { width: LEFT + size(keys.len()) + 90, height: TOP + size(principals.len()) + 4, ..Chart::default() };
    for ((principal, _), row) in principals.iter().zip(0..) {
        let who = principal.map_or_else(|| "nobody named".to_owned(), |arn| short(arn, None));
        let y = TOP + row * CELL;
        chart.rows.push(Label { x: LEFT - 8, y: y + CELL / 2 + 4, text: who.clone() });
        for (key, column) in keys.iter().zip(0..) {
            let Some(decrypts) = value.get(&(key.key_arn.as_str(), *principal)).filter(|value| **value > 0) else {
                continue;
            };
            chart.marks.push(Mark {
                x: LEFT + column * CELL + 1,
                y: y + 1,
                width: CELL - 2,
                height: CELL - 2,
                class: format!("h{}", shade(*decrypts, most)),
                title: format!(
                    "{} with {}: {}",
                    principal.unwrap_or("nobody named"),
                    short(&key.key_arn, key.aliases.as_deref()),
                    counted(*decrypts, "decrypt", "decrypts")
                ),
            });
        }
    }
    chart.columns = keys
        .iter()
        .zip(0..)
        .map(|(key, column)| {
            let text = short(&key.key_arn, key.aliases.as_deref());
            Label { x: LEFT + column * CELL + CELL / 2, y: TOP - 8, text: cut(&text, 20) }
        })
        .collect();
    let names: Vec<String> = chart.rows.iter().map(|row| row.text.clone()).collect();
    for ((row, name), (principal, _)) in chart.rows.iter_mut().zip(&names).zip(&principals) {
        // A role of the same name in several accounts is several principals.
        let account = principal.and_then(|arn| arn.split(':').nth(4)).filter(|account| !account.is_empty());
        row.text = match account.filter(|_| names.iter().filter(|other| *other == name).count() > 1) {
            Some(account) => format!("{} {account}", cut(name, 24)),
            None => cut(name, 36),
        };
    }
    let shown = i64::try_from(chart.marks.len()).unwrap_or_default();
    let all = activity.pairs.total;
    // The others are in no cell, which does not mean that there is nothing in it.
    chart.more = (shown < all)
        .then(|| format!("Shown are {} of {}, those of the busiest.", count(shown), counted(all, "pair", "pairs")));
    chart
}

/// What the logs of each day are worth: accounts and Regions by days, the worst first.
pub(super) fn calendar(overview: &Overview, days: &[NaiveDate]) -> Chart {
    const LEFT: i64 = 250;
    const TOP: i64 = 4;
    const WIDTH: i64 = 700;
    const HEIGHT: i64 = 22;
    const ROOM: i64 = HEIGHT - 2;
    let mut lanes: BTreeMap<(&str, &str), Vec<&DayCovered>> = BTreeMap::new();
    for day in &overview.coverage {
        lanes.entry((&day.account_id, &day.region)).or_default().push(day);
    }
    let all = lanes.len();
    let mut lanes: Vec<((&str, &str), Vec<&DayCovered>)> = lanes.into_iter().collect();
    let worth = |days: &[&DayCovered]| {
        days.iter().map(|day| (day.blind, day.unknown)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    lanes.sort_by_key(|(lane, days)| (std::cmp::Reverse(worth(days)), *lane));
    lanes.truncate(LANES);
    let of_all = i64::try_from(days.len().max(1)).unwrap_or(1);
    let step = WIDTH / of_all;
    let places: BTreeMap<NaiveDate, i64> = days.iter().copied().zip(0..).collect();
    let mut chart = Chart { width: LEFT + WIDTH + 8, ..Chart::default() };
    for (((account, region), of_lane), row) in lanes.iter().zip(0..) {
        let y = TOP + row * HEIGHT;
        let name = format!("{account} {region}");
        for day in of_lane {
            let Some(at) = places.get(&day.day) else { continue };
            let reason = day.reason.as_deref().map_or_else(String::new, |reason| format!("; {reason}"));
            let title = format!("{}, {name}: {} hours{reason}", day.day, Hours::of(std::slice::from_ref(*day)).told());
            let hours =
                [("proven", day.proven), ("observed", day.observed), ("unknown", day.unknown), ("blind", day.blind)];
            let all: i64 = hours.iter().map(|(_, hours)| hours).sum();
            let mut below = 0;
            for (state, hours) in hours.into_iter().filter(|(_, hours)| *hours > 0) {
                let (low, high) = (below * ROOM / all, (below + hours) * ROOM / all);
                chart.marks.push(Mark {
                    x: LEFT + at * WIDTH / of_all + 1,
                    y: y + 1 + ROOM - high.max(low + 1),
                    width: (step - 2).max(1),
                    height: (high - low).max(1),
                    class: state.to_owned(),
                    title: title.clone(),
                });
                below += hours;
            }
        }
        let sum: Vec<DayCovered> = of_lane.iter().map(|day| (*day).clone()).collect();
        let Hours { proven, observed, unknown, blind } = Hours::of(&sum);
        let hours = [proven, observed, unknown, blind].map(count);
        let why = of_lane.iter().filter(|day| day.proven == 0).find_map(|day| day.reason.clone()).unwrap_or_default();
        chart.table.push([vec![(*account).to_owned(), (*region).to_owned()], hours.to_vec(), vec![why]].concat());
        chart.rows.push(Label { x: LEFT - 8, y: y + HEIGHT - 7, text: name });
    }
    let bottom = TOP + i64::try_from(lanes.len()).unwrap_or_default() * HEIGHT;
    chart.height = bottom + 24;
    for (day, at) in days.iter().zip(0..) {
        if is_labelled(*day, at, days.len()) {
            let text = day.format("%-d %b").to_string();
            chart.columns.push(Label { x: LEFT + at * WIDTH / of_all + step / 2, y: bottom + 16, text });
        }
    }
    let hours = Hours::of(&overview.coverage);
    chart.legend = [
        ("proven", "proven: nothing is missing", hours.proven),
        ("observed", "observed: there may be more", hours.observed),
        ("unknown", "unknown: nothing is known", hours.unknown),
        ("blind", "blind: the trail did not record KMS", hours.blind),
    ]
    .map(|(class, name, hours)| (class.to_owned(), name.to_owned(), counted(hours, "hour", "hours")))
    .to_vec();
    chart.headings = ["account", "Region", "proven", "observed", "unknown", "blind", "why"].map(str::to_owned).to_vec();
    chart.more = (all > LANES).then(|| format!("The worst {LANES} of {all} accounts and Regions."));
    chart
}

/// A key's decrypts by day, as small bars.
pub(super) fn spark(days: &[i64]) -> Vec<Mark> {
    const HEIGHT: i64 = 24;
    let most = days.iter().copied().max().unwrap_or_default().max(1);
    let bars = days.iter().zip(0..).filter(|(decrypts, _)| **decrypts > 0);
    bars.map(|(decrypts, at)| {
        let height = (decrypts * HEIGHT / most).max(2);
        Mark { x: at * 4, y: HEIGHT - height, width: 3, height, class: "bar".to_owned(), title: String::new() }
    })
    .collect()
}

/// So much of the text as there is room for.
fn cut(text: &str, room: usize) -> String {
    match text.char_indices().nth(room) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_that_is_not_less() {
        for (most, top) in [(1, 4), (4, 4), (5, 8), (9, 20), (21, 40), (81, 200), (1_000, 2_000), (7_999, 8_000)] {
            assert_eq!(rounded_up(most), top);
        }
        assert!(rounded_up(i64::MAX) == i64::MAX);
    }

    #[test]
    fn the_most_is_the_darkest_and_nothing_is_no_shade() {
        for most in [1, 2, 7, 1_000, 1_000_000] {
            assert_eq!((shade(0, most), shade(most, most)), (0, SHADES));
            assert!((1..=most.min(5_000)).all(|value| (1..=SHADES).contains(&shade(value, most))));
        }
        assert!(shade(1, 1_000_000) < shade(10_000, 1_000_000));
    }
}
