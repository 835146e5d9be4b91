//! Messages of the protocol, as bytes and back.

/// A message: its type and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub tag: u8,
    pub body: Vec<u8>,
}

impl Frame {
    pub fn new(tag: u8, body: impl Into<Vec<u8>>) -> Self {
        Self { tag, body: body.into() }
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        out.push(self.tag);
        out.extend(u32::try_from(self.body.len() + 4).unwrap().to_be_bytes());
        out.extend(&self.body);
    }
}

/// Takes the first message out of what was read, if it is all there.
pub fn take(bytes: &mut Vec<u8>) -> Option<Frame> {
    let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().unwrap()) as usize;
    if bytes.len() <= length {
        return None;
    }
    let frame = Frame::new(bytes[0], &bytes[5..=length]);
    bytes.drain(..=length);
    Some(frame)
}

/// Takes a packet with no type, as a connection begins with.
pub fn take_first(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().unwrap()) as usize;
    if bytes.len() < length {
        return None;
    }
    let body = bytes[4..length].to_vec();
    bytes.drain(..length);
    Some(body)
}

/// Reads a body from its front.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn text(&mut self) -> &'a str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap();
        let text = std::str::from_utf8(&self.0[..end]).unwrap();
        self.0 = &self.0[end + 1..];
        text
    }

    pub fn byte(&mut self) -> u8 {
        let byte = self.0[0];
        self.0 = &self.0[1..];
        byte
    }

    pub fn short(&mut self) -> usize {
        let (number, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        u16::from_be_bytes(*number).into()
    }

    pub fn long(&mut self) -> i32 {
        let (number, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        i32::from_be_bytes(*number)
    }

    /// A value with its length in front; `None`: it is null.
    pub fn value(&mut self) -> Option<String> {
        let length = usize::try_from(self.long()).ok()?;
        let (value, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }
}

/// Texts, each with the byte 0 behind it.
pub fn texts(all: &[&str]) -> Vec<u8> {
    all.iter().flat_map(|text| text.bytes().chain([0])).collect()
}

pub fn query(text: &str) -> Frame {
    Frame::new(b'Q', texts(&[text]))
}

pub fn parse(name: &str, text: &str) -> Frame {
    Frame::new(b'P', [texts(&[name, text]), vec![0, 0]].concat())
}

pub fn bind(portal: &str, statement: &str, values: &[&str]) -> Frame {
    let mut body = texts(&[portal, statement]);
    body.extend([0, 0]);
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.bytes());
    }
    body.extend([0, 0]);
    Frame::new(b'B', body)
}

/// `Describe` and `Close`, of a statement (`S`) or of a portal (`P`).
pub fn named(tag: u8, what: u8, name: &str) -> Frame {
    Frame::new(tag, [vec![what], texts(&[name])].concat())
}

pub fn execute(portal: &str, rows: u32) -> Frame {
    Frame::new(b'E', [texts(&[portal]), rows.to_be_bytes().to_vec()].concat())
}

pub fn sync() -> Frame {
    Frame::new(b'S', [])
}

pub fn flush() -> Frame {
    Frame::new(b'H', [])
}

/// `ErrorResponse`.
pub fn error(severity: &str, code: &str, message: &str) -> Frame {
    let mut body = Vec::new();
    for (field, value) in [(b'S', severity), (b'V', severity), (b'C', code), (b'M', message)] {
        body.push(field);
        body.extend(texts(&[value]));
    }
    body.push(0);
    Frame::new(b'E', body)
}

/// A field of an error.
pub fn field(body: &[u8], field: u8) -> &str {
    let mut fields = Fields(body);
    while !fields.0.is_empty() {
        match fields.byte() {
            0 => break,
            found => {
                let value = fields.text();
                if found == field {
                    return value;
                }
            }
        }
    }
    ""
}
