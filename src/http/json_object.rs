//! A JSON object that is written around parts which are encoded already, such as commits and entities: none of them is
//! encoded again.

use serde::Serialize;

use super::format::Format;

/// An object under way, at the end of the bytes that it is written to.
pub(super) struct JsonObject<'a> {
    out: &'a mut Vec<u8>,
    has_fields: bool,
}

impl<'a> JsonObject<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, has_fields: false }
    }

    /// A field with a value that is encoded now.
    pub(super) fn field(mut self, name: &'static str, value: &impl Serialize) -> Self {
        self.name(name);
        Format::Json.append(value, self.out);
        self
    }

    /// A field that is a list of parts, each encoded already.
    pub(super) fn list<'p>(mut self, name: &'static str, parts: impl Iterator<Item = &'p [u8]>) -> Self {
        self.name(name);
        self.out.push(b'[');
        for (index, part) in parts.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(part);
        }
        self.out.push(b']');
        self
    }

    /// The fields of an object that is encoded already.
    pub(super) fn fields_of(mut self, object: &[u8]) -> Self {
        let fields = object.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or_default();
        if !fields.is_empty() {
            self.separate();
            self.out.extend_from_slice(fields);
        }
        self
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    fn name(&mut self, name: &'static str) {
        self.separate();
        Format::Json.append(&name, self.out);
        self.out.push(b':');
    }

    fn separate(&mut self) {
        if self.has_fields {
            self.out.push(b',');
        }
        self.has_fields = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_valid_json_whatever_it_is_made_of() {
        let mut out = b"before ".to_vec();
        JsonObject::begin(&mut out).end();
        JsonObject::begin(&mut out).fields_of(b"{}").field("a", &"\"").end();
        let parts: [&[u8]; 2] = [b"1", b"{}"];
        JsonObject::begin(&mut out)
            .list("none", [].into_iter())
            .list("some", parts.into_iter())
            .fields_of(br#"{"b":null,"c":[]}"#)
            .end();
        let expected = r#"before {}{"a":"\""}{"none":[],"some":[1,{}],"b":null,"c":[]}"#;
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}
