//! Skips MessagePack values without building them.

use rmp::{
    Marker,
    decode::{RmpRead, read_marker},
};

/// The bytes after the first value. It counts the values to skip instead of recursing, so nesting costs no stack.
pub(super) fn after_value(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut values: u64 = 1;
    while values > 0 {
        let marker = read_marker(&mut bytes).ok()?;
        let (length, inside) = extent(marker, &mut bytes)?;
        bytes = bytes.get(usize::try_from(length).ok()?..)?;
        values = values - 1 + inside;
    }
    Some(bytes)
}

/// The number of bytes and of nested values that follow a value's marker and length.
fn extent(marker: Marker, bytes: &mut &[u8]) -> Option<(u64, u64)> {
    let mut length = |width: u8| match width {
        1 => bytes.read_data_u8().ok().map(u64::from),
        2 => bytes.read_data_u16().ok().map(u64::from),
        _ => bytes.read_data_u32().ok().map(u64::from),
    };
    Some(match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (0, 0),
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 => (2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixStr(length) => (length.into(), 0),
        Marker::Str8 | Marker::Bin8 => (length(1)?, 0),
        Marker::Str16 | Marker::Bin16 => (length(2)?, 0),
        Marker::Str32 | Marker::Bin32 => (length(4)?, 0),
        // An extension has a byte for its type before its data.
        Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::FixExt4 => (5, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::Ext8 => (length(1)? + 1, 0),
        Marker::Ext16 => (length(2)? + 1, 0),
        Marker::Ext32 => (length(4)? + 1, 0),
        Marker::FixArray(items) => (0, items.into()),
        Marker::Array16 => (0, length(2)?),
        Marker::Array32 => (0, length(4)?),
        Marker::FixMap(fields) => (0, 2 * u64::from(fields)),
        Marker::Map16 => (0, 2 * length(2)?),
        Marker::Map32 => (0, 2 * length(4)?),
        Marker::Reserved => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn w5_message_pack_is_passed_over_value_by_value() {
        let whole = json!({"a": [1, -1, 300, 70_000, u64::MAX, i64::MIN, 1.5, null, true, "x".repeat(40)],
            "b": {"c": ["y".repeat(300), "z".repeat(70_000), vec![1; 20], vec![1; 70_000]]}});
        let mut packed = rmp_serde::to_vec(&whole).expect("MessagePack");
        packed.push(7);
        assert_eq!(after_value(&packed), Some(&[7][..]));
        let strange: [&[u8]; 8] = [
            &[0xc4, 2, 0, 0],                         // bin
            &[0xc7, 2, 1, 0, 0],                      // ext 8
            &[0xd4, 1, 0],                            // fixext 1
            &[0xd6, 1, 0, 0, 0, 0],                   // fixext 4
            &[0xca, 0x7f, 0x80, 0, 0],                // infinity
            &[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],    // NaN
            &[0x82, 1, 2, 0x91, 3, 4],                // keys that are no text
            &[0xdc, 0, 2, 0xdf, 0, 0, 0, 1, 5, 6, 7], // array 16, map 32
        ];
        for value in strange {
            let followed = [value, &[9]].concat();
            assert_eq!(after_value(&followed), Some(&[9][..]), "{value:x?}");
        }
        let deep = [&vec![0x91; 100_000][..], &[1, 9]].concat();
        assert_eq!(after_value(&deep), Some(&[9][..]));
        for cut in [&[0xc1][..], &[0xdb, 0xff, 0xff, 0xff, 0xff, 1], &[0x92, 1], &[]] {
            assert_eq!(after_value(cut), None, "{cut:x?}");
        }
    }
}
