//! What a table of the lake is, in Arrow's and in Delta's words.

use arrow::datatypes::{DataType, SchemaRef};
use deltalake_core::kernel::{DataType as DeltaType, MapType, PrimitiveType, StructField};

/// One table of the lake.
#[derive(Debug)]
pub struct TableSpec {
    /// Its name in SQL and its folder in the lake.
    pub name: &'static str,
    /// The column that its folders are named by.
    pub partition: Option<&'static str>,
    /// All its columns, the partition included.
    pub schema: fn() -> SchemaRef,
    /// What it holds, in one sentence.
    pub doc: &'static str,
}

/// The columns of a table in Delta's words.
pub(super) fn delta_columns(spec: &TableSpec) -> Vec<StructField> {
    (spec.schema)()
        .fields()
        .iter()
        .map(|field| StructField::nullable(field.name(), delta_type(field.data_type())))
        .collect()
}

fn delta_type(kind: &DataType) -> DeltaType {
    let primitive = match kind {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int32 => PrimitiveType::Integer,
        DataType::Int64 => PrimitiveType::Long,
        DataType::Date32 => PrimitiveType::Date,
        DataType::Timestamp(..) => PrimitiveType::Timestamp,
        DataType::Binary => PrimitiveType::Binary,
        DataType::Map(..) => {
            let text = DeltaType::Primitive(PrimitiveType::String);
            return MapType::new(text.clone(), text, true).into();
        }
        _ => PrimitiveType::String,
    };
    DeltaType::Primitive(primitive)
}
