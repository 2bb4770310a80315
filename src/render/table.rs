//! Rows for a person at a terminal: columns when they fit, one record below the other when they do not.
//!
//! Nothing depends on colour, and without a width nothing is wrapped, so that `grep` finds whole values in a pipe.

use std::io;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, TableComponent, Width};

use super::clean::clean;
use super::value::{Value, is_number, plain, value};

/// Blanks between two columns.
const GAP: u16 = 2;

/// A column may be wrapped down to this width, of a longer content. Narrower, ids and ARNs fall into crumbs, and the
/// rows are written as records instead.
const COLUMN_WIDTH_MIN: u16 = 12;

/// Rows that are laid out at a time where all are written.
const PART_ROWS: usize = 4096;

pub(super) fn write(
    out: &mut dyn io::Write,
    schema: &Schema,
    batches: &[RecordBatch],
    width: Option<u16>,
) -> io::Result<()> {
    if schema.fields().is_empty() {
        return Ok(());
    }
    if width.is_none() && batches.iter().map(RecordBatch::num_rows).sum::<usize>() > PART_ROWS {
        return in_parts(out, schema, batches);
    }
    let mut table = columns(schema, batches, true);
    let wanted: Vec<u16> = table.column_max_content_widths();
    let fits = |width: u16| {
        let gaps = usize::from(GAP) * (wanted.len() - 1);
        let least: usize = wanted.iter().map(|content| usize::from((*content).min(COLUMN_WIDTH_MIN))).sum();
        least + gaps <= usize::from(width)
    };
    match width {
        Some(width) if !fits(width) => return records(out, schema, batches, width),
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        None => {}
    }
    writeln!(out, "{}", table.trim_fmt())
}

/// The same for many rows, of which a table in memory takes up ten times as much as their text.
fn in_parts(out: &mut dyn io::Write, schema: &Schema, batches: &[RecordBatch]) -> io::Result<()> {
    let parts = || {
        batches.iter().flat_map(|batch| {
            let begins = (0..batch.num_rows()).step_by(PART_ROWS);
            begins.map(|begin| batch.slice(begin, PART_ROWS.min(batch.num_rows() - begin)))
        })
    };
    let mut widths = columns(schema, &[], true).column_max_content_widths();
    for part in parts() {
        let wanted = columns(schema, &[part], false).column_max_content_widths();
        widths.iter_mut().zip(wanted).for_each(|(width, wanted)| *width = (*width).max(wanted));
    }
    for (at, part) in parts().enumerate() {
        let mut table = columns(schema, &[part], at == 0);
        let last = widths.len() - 1;
        for (at, column) in table.column_iter_mut().enumerate() {
            let width = widths[at].saturating_add(if at == last { 0 } else { GAP });
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
        writeln!(out, "{}", table.trim_fmt())?;
    }
    Ok(())
}

fn columns(schema: &Schema, batches: &[RecordBatch], has_header: bool) -> Table {
    let mut table = bare();
    if has_header {
        table.set_header(schema.fields().iter().map(|field| Cell::new(clean(field.name()))));
    }
    table.set_style(TableComponent::HeaderLines, '─').remove_style(TableComponent::MiddleHeaderIntersections);
    for batch in batches {
        for row in 0..batch.num_rows() {
            table.add_row(batch.columns().iter().map(|column| Cell::new(cell(&value(column, row)))));
        }
    }
    for (column, field) in table.column_iter_mut().zip(schema.fields()) {
        if is_number(field.data_type()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    spaced(table)
}

/// Each row as lines of name and value, a blank line between two rows.
fn records(out: &mut dyn io::Write, schema: &Schema, batches: &[RecordBatch], width: u16) -> io::Result<()> {
    let mut first = true;
    for batch in batches {
        for row in 0..batch.num_rows() {
            if !std::mem::take(&mut first) {
                writeln!(out)?;
            }
            let mut table = bare();
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            for (field, column) in schema.fields().iter().zip(batch.columns()) {
                table.add_row([Cell::new(clean(field.name())), Cell::new(cell(&value(column, row)))]);
            }
            writeln!(out, "{}", spaced(table).trim_fmt())?;
        }
    }
    Ok(())
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).remove_style(TableComponent::VerticalLines);
    table
}

/// The gap between columns, and none after the last.
fn spaced(mut table: Table) -> Table {
    let last = table.column_count().saturating_sub(1);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if at == last { 0 } else { GAP }));
    }
    table
}

fn cell(value: &Value<'_>) -> String {
    if *value == Value::Null { "-".to_owned() } else { clean(&plain(value)).into_owned() }
}
