//! `address_block(address)`: the network that an address is probably of: /24 of IPv4, /48 of IPv6, as providers hand out.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

/// Null where the text is no address: a service's name, `AWS Internal`.
pub(super) fn address_block() -> ScalarUDF {
    create_udf("address_block", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(blocks))
}

fn blocks(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let answers: StringArray = arrays[0].as_string::<i32>().iter().map(|address| block(address?)).collect();
    Ok(ColumnarValue::Array(Arc::new(answers)))
}

fn block(address: &str) -> Option<String> {
    Some(match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::block;

    #[test]
    fn an_address_is_of_a_block_and_a_name_is_of_none() {
        for (address, wanted) in [
            ("203.0.113.10", Some("203.0.113.0/24")),
            ("::ffff:203.0.113.10", Some("203.0.113.0/24")),
            ("2001:db8:1:2::3", Some("2001:db8:1::/48")),
            ("AWS Internal", None),
            ("lambda.amazonaws.com", None),
            ("", None),
        ] {
            assert_eq!(block(address).as_deref(), wanted, "{address}");
        }
    }
}
